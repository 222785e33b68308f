// SPDX-License-Identifier: GPL-2.0-or-later
int run_tests(int count, char** arguments);  // support/catch.cpp

int main(int count, char** arguments) { return run_tests(count, arguments); }
