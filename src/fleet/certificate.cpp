// SPDX-License-Identifier: GPL-2.0-or-later
#include "fleet/certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>

#include "core/base/address.h"

namespace bandd {
namespace {

template <class T, void (*release)(T*)>
struct Release {
    void operator()(T* thing) const { release(thing); }
};
using Key = std::unique_ptr<EVP_PKEY, Release<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Release<X509, X509_free>>;
using Bio = std::unique_ptr<BIO, Release<BIO, BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Release<X509_EXTENSION, X509_EXTENSION_free>>;

std::unexpected<Error> fault() {
    std::array<char, 256> why{};
    ERR_error_string_n(ERR_get_error(), why.data(), why.size());
    return fail("OpenSSL", why.data());
}

std::string text_of(BIO* bio) {
    char* bytes = nullptr;
    long size = BIO_get_mem_data(bio, &bytes);
    return {bytes, static_cast<std::size_t>(size)};
}

Result<CertifiedKey> to_pem(X509* certificate, EVP_PKEY* key) {
    Bio first(BIO_new(BIO_s_mem())), second(BIO_new(BIO_s_mem()));
    if (!first || !second || PEM_write_bio_X509(first.get(), certificate) != 1 ||
        PEM_write_bio_PrivateKey(second.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
        return fault();
    return CertifiedKey{text_of(first.get()), text_of(second.get())};
}

bool add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    Extension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
    return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_serial(X509* certificate) {
    std::array<unsigned char, 16> random{};
    if (RAND_bytes(random.data(), random.size()) != 1) return false;
    random[0] &= 0x7f;
    std::unique_ptr<BIGNUM, Release<BIGNUM, BN_free>> number(
        BN_bin2bn(random.data(), random.size(), nullptr));
    return number &&
           BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

// Without extensions and signature.
Certificate make_body(const std::string& name, EVP_PKEY* key) {
    constexpr long a_day = 86'400;
    Certificate made(X509_new());
    if (!made || X509_set_version(made.get(), 2) != 1 || !set_serial(made.get())) return {};
    X509_NAME* subject = X509_get_subject_name(made.get());
    // A name longer than the 64 bytes that X.509 allows stands in the other names only.
    std::string common = name.substr(0, 64);
    bool done = X509_gmtime_adj(X509_getm_notBefore(made.get()), -a_day) != nullptr &&
                X509_time_adj_ex(X509_getm_notAfter(made.get()), certified_years * 365, 0,
                                 nullptr) != nullptr &&
                X509_set_pubkey(made.get(), key) == 1 &&
                X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                           reinterpret_cast<const unsigned char*>(common.data()),
                                           static_cast<int>(common.size()), -1, 0) == 1;
    return done ? std::move(made) : Certificate{};
}

}  // namespace

std::string server_name_of(const std::string& fleet) { return fleet + ".fleet.bandd"; }

Result<CertifiedKey> make_authority(const std::string& fleet) {
    Key key(EVP_EC_gen("P-256"));
    if (!key) return fault();
    Certificate made = make_body("bandd fleet " + fleet, key.get());
    X509* own = made.get();
    if (!made || X509_set_issuer_name(own, X509_get_subject_name(own)) != 1 ||
        !add_extension(own, own, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(own, own, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(own, own, NID_subject_key_identifier, "hash") ||
        X509_sign(own, key.get(), EVP_sha256()) == 0)
        return fault();
    return to_pem(own, key.get());
}

Result<CertifiedKey> make_server_certificate(const CertifiedKey& authority,
                                             const std::string& fleet,
                                             const std::vector<std::string>& hosts) {
    Bio certificate_text(BIO_new_mem_buf(authority.certificate.data(),
                                         static_cast<int>(authority.certificate.size())));
    Bio key_text(BIO_new_mem_buf(authority.key.data(), static_cast<int>(authority.key.size())));
    Certificate issuer(PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
    Key issuer_key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
    Key key(EVP_EC_gen("P-256"));
    if (!issuer || !issuer_key || !key) return fault();
    std::string names = "DNS:" + server_name_of(fleet);
    for (const std::string& host : hosts) names += (parse_address(host) ? ",IP:" : ",DNS:") + host;
    Certificate made = make_body(server_name_of(fleet), key.get());
    X509* own = made.get();
    if (!made || X509_set_issuer_name(own, X509_get_subject_name(issuer.get())) != 1 ||
        !add_extension(own, issuer.get(), NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(own, issuer.get(), NID_key_usage, "critical,digitalSignature") ||
        !add_extension(own, issuer.get(), NID_ext_key_usage, "serverAuth,clientAuth") ||
        !add_extension(own, issuer.get(), NID_subject_alt_name, names) ||
        !add_extension(own, issuer.get(), NID_authority_key_identifier, "keyid") ||
        X509_sign(own, issuer_key.get(), EVP_sha256()) == 0)
        return fault();
    return to_pem(own, key.get());
}

}  // namespace bandd
