// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "core/base/result.h"

namespace bandd {

// Owns a file descriptor; -1 is none.
class Fd {
  public:
    Fd() = default;
    explicit Fd(int adopted) : fd_(adopted) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ~Fd() { reset(); }

    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }
    void reset() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }

  private:
    int fd_ = -1;
};

// A failed system call: `what` names the call and its argument, the reason is errno's.
inline std::unexpected<Error> fail_errno(std::string what, std::string hint = {}) {
    return fail(std::move(what), std::strerror(errno), std::move(hint));
}

}  // namespace bandd
