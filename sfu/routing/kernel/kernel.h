/* What Cython cannot say: atomics, SRTP over libcrypto, STUN answers, many datagrams in one call.
 * Network byte layouts outside sfu/wire stand only here. Functions return 0 or a size; < 0 is a failure. */
#ifndef STENTOR_KERNEL_H
#define STENTOR_KERNEL_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define OPENSSL_SUPPRESS_DEPRECATED
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static inline uint64_t st_load(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline void st_store(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }

static inline int64_t st_clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static inline int64_t st_monotonic_us(void) { return st_clock_ns(CLOCK_MONOTONIC) / 1000; }
static inline int64_t st_realtime_us(void) { return st_clock_ns(CLOCK_REALTIME) / 1000; }
static inline int64_t st_thread_cpu_ns(void) { return st_clock_ns(CLOCK_THREAD_CPUTIME_ID); }

static inline uint32_t st_get32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline void st_put32(uint8_t *p, uint32_t v) {
    p[0] = v >> 24; p[1] = v >> 16; p[2] = v >> 8; p[3] = v;
}

/* ---- SRTP: RFC 3711 (AES_CM_128_HMAC_SHA1_80) and RFC 7714 (AEAD_AES_128_GCM, AEAD_AES_256_GCM) ---- */

enum { ST_NONE = 0, ST_GCM_128 = 1, ST_GCM_256 = 2, ST_CM_SHA1_80 = 3 };

typedef struct {
    EVP_CIPHER_CTX *cipher; /* of RTP alone, made with its first packet: it is 2 KiB, and a viewer sends none */
    SHA_CTX *mac;           /* HMAC midstates (inner, outer), half the cost of an HMAC context; NULL under GCM */
    uint8_t profile, sealing, salt[14], key[32];
} st_half; /* RTP or RTCP of one direction */

#define ST_SENDERS 32
typedef struct {
    st_half rtp_in, rtcp_in, rtp_out, rtcp_out;
    uint32_t rtcp_index_out;
    struct { uint32_t ssrc; int64_t highest; uint64_t window; } senders[ST_SENDERS]; /* an SRTCP index is the SSRC's own */
    int sender_count;
} st_srtp;

static int st_derive(const uint8_t *master, int key_length, const uint8_t *salt14, int label, uint8_t *out, int n) {
    uint8_t iv[16] = {0}, zero[64] = {0};
    int made = 0, ok;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (!c) return -1;
    memcpy(iv, salt14, 14);
    iv[7] ^= (uint8_t)label; /* key_id = label || r, r = 0 (RFC 3711 4.3.1) */
    ok = EVP_EncryptInit_ex(c, key_length == 32 ? EVP_aes_256_ctr() : EVP_aes_128_ctr(), NULL, master, iv) == 1 &&
         EVP_EncryptUpdate(c, out, &made, zero, n) == 1;
    EVP_CIPHER_CTX_free(c);
    return ok && made == n ? 0 : -1;
}

static EVP_CIPHER_CTX *st_cipher_new(const st_half *h) {
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *kind = h->profile == ST_GCM_128 ? EVP_aes_128_gcm() : h->profile == ST_GCM_256 ? EVP_aes_256_gcm() : EVP_aes_128_ctr();
    /* AES-CTR decrypts by encrypting. */
    if (c && EVP_CipherInit_ex(c, kind, NULL, h->key, NULL, h->profile == ST_CM_SHA1_80 ? 1 : h->sealing) == 1) return c;
    EVP_CIPHER_CTX_free(c);
    return NULL;
}

/* Ready for one RTP packet with this IV; NULL on failure. */
static EVP_CIPHER_CTX *st_rtp_cipher(st_half *h, const uint8_t *iv) {
    if (!h->cipher && !(h->cipher = st_cipher_new(h))) return NULL;
    return EVP_CipherInit_ex(h->cipher, NULL, NULL, NULL, iv, -1) == 1 ? h->cipher : NULL;
}

/* Ready for one RTCP packet. RTCP is rare: one context for all peers, keyed each time, instead of 4 KiB a peer. */
static EVP_CIPHER_CTX *st_rtcp_cipher(const st_half *h, const uint8_t *iv) {
    static __thread EVP_CIPHER_CTX *shared[ST_CM_SHA1_80 + 1][2];
    EVP_CIPHER_CTX **c = &shared[h->profile][h->sealing];
    if (!*c && !(*c = st_cipher_new(h))) return NULL;
    return EVP_CipherInit_ex(*c, NULL, NULL, h->key, iv, -1) == 1 ? *c : NULL;
}

static int st_half_open(st_half *h, int profile, const uint8_t *master, const uint8_t *salt, int label, int sealing) {
    uint8_t salt14[14] = {0}, auth[20], pad[64];
    int key_length = profile == ST_GCM_256 ? 32 : 16, salt_length = profile == ST_CM_SHA1_80 ? 14 : 12, i;
    memcpy(salt14, salt, salt_length);
    h->profile = (uint8_t)profile;
    h->sealing = (uint8_t)sealing;
    if (st_derive(master, key_length, salt14, label, h->key, key_length) || st_derive(master, key_length, salt14, label + 2, h->salt, salt_length)) return -1;
    if (profile != ST_CM_SHA1_80) return 0;
    h->mac = OPENSSL_malloc(2 * sizeof *h->mac);
    if (!h->mac || st_derive(master, key_length, salt14, label + 1, auth, 20)) return -1;
    for (i = 0; i < 64; i++) pad[i] = (i < 20 ? auth[i] : 0) ^ 0x36;
    SHA1_Init(&h->mac[0]); SHA1_Update(&h->mac[0], pad, 64);
    for (i = 0; i < 64; i++) pad[i] ^= 0x36 ^ 0x5c;
    SHA1_Init(&h->mac[1]); SHA1_Update(&h->mac[1], pad, 64);
    OPENSSL_cleanse(auth, sizeof auth);
    OPENSSL_cleanse(pad, sizeof pad);
    return 0;
}

static void st_srtp_close(st_srtp *s) {
    st_half *halves[] = {&s->rtp_in, &s->rtcp_in, &s->rtp_out, &s->rtcp_out}, **h;
    for (h = halves; h < halves + 4; h++) EVP_CIPHER_CTX_free((*h)->cipher), OPENSSL_clear_free((*h)->mac, 2 * sizeof *(*h)->mac);
    OPENSSL_cleanse(s, sizeof *s);
}

static int st_srtp_open(st_srtp *s, int profile, const uint8_t *rx_key, const uint8_t *rx_salt, const uint8_t *tx_key, const uint8_t *tx_salt) {
    memset(s, 0, sizeof *s);
    if (profile < ST_GCM_128 || profile > ST_CM_SHA1_80) return -1;
    if (st_half_open(&s->rtp_in, profile, rx_key, rx_salt, 0, 0) || st_half_open(&s->rtcp_in, profile, rx_key, rx_salt, 3, 0) ||
        st_half_open(&s->rtp_out, profile, tx_key, tx_salt, 0, 1) || st_half_open(&s->rtcp_out, profile, tx_key, tx_salt, 3, 1)) {
        st_srtp_close(s);
        return -1;
    }
    return 0;
}

static void st_hmac(const st_half *h, const uint8_t *data, int n, const uint8_t *more, int m, uint8_t out[20]) {
    SHA_CTX c = h->mac[0];
    SHA1_Update(&c, data, n);
    if (m) SHA1_Update(&c, more, m);
    SHA1_Final(out, &c);
    c = h->mac[1];
    SHA1_Update(&c, out, 20);
    SHA1_Final(out, &c);
}

/* GCM: IV = (0 || SSRC || 0/ROC || SEQ) xor salt; CM: IV = salt xor SSRC<<64 xor index<<16. 48 or 31 bits of index. */
static void st_iv(const st_half *h, uint32_t ssrc, uint64_t index, uint8_t iv[16]) {
    int at = h->profile == ST_CM_SHA1_80 ? 4 : 2, i;
    memset(iv, 0, 16);
    st_put32(iv + at, ssrc);
    at = h->profile == ST_CM_SHA1_80 ? 8 : 6;
    for (i = 0; i < 6; i++) iv[at + i] = (uint8_t)(index >> (40 - 8 * i));
    for (i = 0; i < (h->profile == ST_CM_SHA1_80 ? 14 : 12); i++) iv[i] ^= h->salt[i];
}

/* Seal n bytes with a clear header; room for 16 bytes more behind. Returns the new size. */
static int st_seal_rtp(st_half *h, uint8_t *p, int header, int n, uint64_t index) {
    uint8_t iv[16], mac[20], roc[4];
    int made = 0, rest = 0;
    EVP_CIPHER_CTX *c = (st_iv(h, st_get32(p + 8), index, iv), st_rtp_cipher(h, iv));
    if (!c) return -1;
    if (h->profile != ST_CM_SHA1_80) {
        if (EVP_EncryptUpdate(c, NULL, &made, p, header) != 1 || EVP_EncryptUpdate(c, p + header, &made, p + header, n - header) != 1 ||
            EVP_EncryptFinal_ex(c, p + n, &rest) != 1 || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, p + n) != 1) return -1;
        return n + 16;
    }
    if (EVP_EncryptUpdate(c, p + header, &made, p + header, n - header) != 1) return -1;
    st_put32(roc, (uint32_t)(index >> 16));
    st_hmac(h, p, n, roc, 4, mac);
    memcpy(p + n, mac, 10);
    return n + 10;
}

/* Open in place; returns the size without tag, -1 when the tag is wrong. */
static int st_open_rtp(st_half *h, uint8_t *p, int header, int n, uint64_t index) {
    uint8_t iv[16], mac[20], roc[4];
    int made = 0, tag = h->profile == ST_CM_SHA1_80 ? 10 : 16;
    EVP_CIPHER_CTX *c;
    if (n < header + tag) return -1;
    n -= tag;
    st_iv(h, st_get32(p + 8), index, iv);
    if (h->profile == ST_CM_SHA1_80) {
        st_put32(roc, (uint32_t)(index >> 16));
        st_hmac(h, p, n, roc, 4, mac);
        if (CRYPTO_memcmp(mac, p + n, 10)) return -1;
    }
    if (!(c = st_rtp_cipher(h, iv))) return -1;
    if (h->profile != ST_CM_SHA1_80) {
        if (EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, 16, p + n) != 1 || EVP_DecryptUpdate(c, NULL, &made, p, header) != 1 ||
            EVP_DecryptUpdate(c, p + header, &made, p + header, n - header) != 1 || EVP_DecryptFinal_ex(c, p + n, &made) != 1) return -1;
        return n;
    }
    return EVP_EncryptUpdate(c, p + header, &made, p + header, n - header) == 1 ? n : -1;
}

/* SRTCP: 8 clear bytes, E flag set, index behind (RFC 3711 3.4, RFC 7714 9); room for 20 bytes more. */
static int st_seal_rtcp(st_srtp *s, uint8_t *p, int n) {
    st_half *h = &s->rtcp_out;
    uint8_t iv[16], mac[20], word[4];
    uint32_t index = ++s->rtcp_index_out;
    int made = 0, rest = 0;
    EVP_CIPHER_CTX *c;
    if (index & 0x80000000u || n < 8) return -1;
    st_put32(word, index | 0x80000000u);
    st_iv(h, st_get32(p + 4), index, iv);
    if (!(c = st_rtcp_cipher(h, iv))) return -1;
    if (h->profile != ST_CM_SHA1_80) {
        if (EVP_EncryptUpdate(c, NULL, &made, p, 8) != 1 || EVP_EncryptUpdate(c, NULL, &made, word, 4) != 1 ||
            EVP_EncryptUpdate(c, p + 8, &made, p + 8, n - 8) != 1 || EVP_EncryptFinal_ex(c, p + n, &rest) != 1 ||
            EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, p + n) != 1) return -1;
        memcpy(p + n + 16, word, 4);
        return n + 20;
    }
    if (EVP_EncryptUpdate(c, p + 8, &made, p + 8, n - 8) != 1) return -1;
    memcpy(p + n, word, 4);
    st_hmac(h, p, n + 4, NULL, 0, mac);
    memcpy(p + n + 4, mac, 10);
    return n + 14;
}

/* Returns the plain size, -1 on a wrong tag, -2 on a replay, -3 when one more SSRC is too many. */
static int st_open_rtcp(st_srtp *s, uint8_t *p, int n) {
    st_half *h = &s->rtcp_in;
    uint8_t iv[16], mac[20], word[4];
    int made = 0, cm = h->profile == ST_CM_SHA1_80, sender = 0;
    int64_t index, behind = -1;
    EVP_CIPHER_CTX *c;
    if (n < 8 + (cm ? 14 : 20)) return -1;
    memcpy(word, cm ? p + n - 14 : p + n - 4, 4);
    index = st_get32(word) & 0x7fffffff;
    while (sender < s->sender_count && s->senders[sender].ssrc != st_get32(p + 4)) sender++;
    if (sender == ST_SENDERS) return -3;
    if (sender < s->sender_count) behind = s->senders[sender].highest - index;
    if (behind >= 64 || (behind >= 0 && s->senders[sender].window >> behind & 1)) return -2;
    st_iv(h, st_get32(p + 4), index, iv);
    n -= cm ? 14 : 20;
    if (cm) {
        st_hmac(h, p, n + 4, NULL, 0, mac);
        if (CRYPTO_memcmp(mac, p + n + 4, 10)) return -1;
    }
    if (!(c = st_rtcp_cipher(h, iv))) return -1;
    if (!cm) {
        int sealed = word[0] >> 7; /* without the E flag all of it is associated data (RFC 7714 9.3) */
        if (EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, 16, p + n) != 1 || EVP_DecryptUpdate(c, NULL, &made, p, sealed ? 8 : n) != 1 ||
            EVP_DecryptUpdate(c, NULL, &made, word, 4) != 1 || (sealed && EVP_DecryptUpdate(c, p + 8, &made, p + 8, n - 8) != 1) ||
            EVP_DecryptFinal_ex(c, p + n, &made) != 1) return -1;
    } else if (word[0] >> 7 && EVP_EncryptUpdate(c, p + 8, &made, p + 8, n - 8) != 1) return -1;
    if (sender == s->sender_count) {
        s->senders[s->sender_count++].ssrc = st_get32(p + 4);
        s->senders[sender].window = 1;
        s->senders[sender].highest = index;
    } else if (behind < 0) {
        s->senders[sender].window = -behind >= 64 ? 1 : s->senders[sender].window << -behind | 1;
        s->senders[sender].highest = index;
    } else s->senders[sender].window |= (uint64_t)1 << behind;
    return n;
}

/* ---- STUN (RFC 8489): the answer to a binding request on a known path ---- */

static uint32_t st_crc32(const uint8_t *p, int n) {
    uint32_t c = 0xffffffffu;
    int i, k;
    for (i = 0; i < n; i++) for (c ^= p[i], k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
    return ~c;
}

/* Checks a request against the password and writes the success answer (at most 96 bytes).
 * Returns its size, 0 where Python must look (not a plain binding request), -1 when the integrity is wrong.
 * *nominated is set when it carries USE-CANDIDATE. */
static int st_stun_answer(uint8_t *p, int n, const uint8_t *password, int password_length, const struct sockaddr *from, uint8_t *out, int *nominated) {
    int at = 20, integrity = -1, size = 20, i, v6 = from->sa_family == AF_INET6;
    uint8_t mac[20], length[2];
    unsigned made = 0;
    *nominated = 0;
    if (n < 20 || p[0] != 0 || p[1] != 1 || st_get32(p + 4) != 0x2112A442u || (p[2] << 8 | p[3]) != n - 20) return 0;
    while (at + 4 <= n) {
        int kind = p[at] << 8 | p[at + 1], bytes = p[at + 2] << 8 | p[at + 3], whole = 4 + ((bytes + 3) & ~3);
        if (at + whole > n) return -1;
        if (kind == 0x0008) { if (bytes != 20) return -1; integrity = at; break; }
        if (kind == 0x0025) *nominated = 1;
        /* USERNAME, PRIORITY, USE-CANDIDATE are known; any other that must be understood goes up for a 420. */
        else if (kind < 0x8000 && kind != 0x0006 && kind != 0x0024) return 0;
        at += whole;
    }
    if (integrity < 0) return -1;
    memcpy(length, p + 2, 2);
    p[2] = (integrity + 4) >> 8; p[3] = (integrity + 4) & 255; /* integrity + 24 - 20 */
    HMAC(EVP_sha1(), password, password_length, p, integrity, mac, &made);
    memcpy(p + 2, length, 2);
    if (CRYPTO_memcmp(mac, p + integrity + 4, 20)) return -1;
    memcpy(out, p, 20);
    out[0] = 1; out[1] = 1;
    out[20] = 0; out[21] = 0x20; out[22] = 0; out[23] = v6 ? 20 : 8; out[24] = 0; out[25] = v6 ? 2 : 1;
    memcpy(out + 26, v6 ? (const void *)&((const struct sockaddr_in6 *)from)->sin6_port : (const void *)&((const struct sockaddr_in *)from)->sin_port, 2);
    out[26] ^= 0x21; out[27] ^= 0x12;
    memcpy(out + 28, v6 ? (const void *)&((const struct sockaddr_in6 *)from)->sin6_addr : (const void *)&((const struct sockaddr_in *)from)->sin_addr, v6 ? 16 : 4);
    for (i = 0; i < (v6 ? 16 : 4); i++) out[28 + i] ^= p[4 + i]; /* cookie, then transaction id */
    size = 28 + (v6 ? 16 : 4);
    out[2] = 0; out[3] = size + 24 - 20;
    HMAC(EVP_sha1(), password, password_length, out, size, mac, &made);
    out[size] = 0; out[size + 1] = 8; out[size + 2] = 0; out[size + 3] = 20;
    memcpy(out + size + 4, mac, 20);
    size += 24;
    out[3] = size + 8 - 20;
    out[size] = 0x80; out[size + 1] = 0x28; out[size + 2] = 0; out[size + 3] = 4;
    st_put32(out + size + 4, st_crc32(out, size) ^ 0x5354554eu);
    return size + 8;
}

/* ---- datagrams ---- */

#define ST_BURST 64
#define ST_BATCH 64
#define ST_BYTES 1504

typedef struct {
    struct mmsghdr messages[ST_BURST];
    struct iovec vectors[ST_BURST];
    struct sockaddr_in6 addresses[ST_BURST];
    uint8_t control[ST_BURST][64];
    uint8_t bytes[ST_BURST][ST_BYTES + 1]; /* one byte more: a datagram that fills it is too long */
} st_inbox;

static int st_receive(int fd, st_inbox *in) {
    int i;
    for (i = 0; i < ST_BURST; i++) {
        in->vectors[i].iov_base = in->bytes[i];
        in->vectors[i].iov_len = ST_BYTES + 1;
        memset(&in->messages[i], 0, sizeof in->messages[i]);
        in->messages[i].msg_hdr.msg_iov = &in->vectors[i];
        in->messages[i].msg_hdr.msg_iovlen = 1;
        in->messages[i].msg_hdr.msg_name = &in->addresses[i];
        in->messages[i].msg_hdr.msg_namelen = sizeof in->addresses[i];
        in->messages[i].msg_hdr.msg_control = in->control[i];
        in->messages[i].msg_hdr.msg_controllen = sizeof in->control[i];
    }
    i = recvmmsg(fd, in->messages, ST_BURST, MSG_DONTWAIT, NULL);
    return i < 0 ? -errno : i;
}

static inline uint8_t *st_inbox_bytes(st_inbox *in, int i) { return in->bytes[i]; }
static inline int st_inbox_size(st_inbox *in, int i) { return (int)in->messages[i].msg_len; }
static inline void *st_inbox_address(st_inbox *in, int i) { return &in->addresses[i]; }
static inline int st_inbox_address_size(st_inbox *in, int i) { return (int)in->messages[i].msg_hdr.msg_namelen; }

/* The kernel's receive stamp in microseconds of real time, 0 where there is none. */
static int64_t st_stamp_us(st_inbox *in, int i) {
    struct msghdr *m = &in->messages[i].msg_hdr;
    struct cmsghdr *c;
    struct timespec t;
    for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
            memcpy(&t, CMSG_DATA(c), sizeof t);
            return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
        }
    return 0;
}

/* How many datagrams the socket had dropped when datagram i was queued (SO_RXQ_OVFL), modulo 2^32; 0 = none yet. */
static uint32_t st_drops(st_inbox *in, int i) {
    struct msghdr *m = &in->messages[i].msg_hdr;
    struct cmsghdr *c;
    uint32_t drops = 0;
    for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) memcpy(&drops, CMSG_DATA(c), sizeof drops);
    return drops;
}

/* The bucket of a latency: 0 for at most 32 us, then one for each doubling, and the last for all above. */
static inline int st_latency_bucket(int64_t us, int first_us, int buckets) {
    int bucket = us <= first_us ? 0 : 64 - __builtin_clzll((uint64_t)(us - 1) / (unsigned)first_us);
    return bucket < buckets ? bucket : buckets - 1;
}

typedef struct {
    int count, fd[ST_BATCH];
    int32_t peer[ST_BATCH], verdict[ST_BATCH], slot[ST_BATCH];
    int64_t arrival_us[ST_BATCH]; /* of the packet that is sent on; 0 = not one whose latency counts */
    struct mmsghdr messages[ST_BATCH];
    struct iovec vectors[ST_BATCH];
    uint8_t bytes[ST_BATCH][ST_BYTES + 48];
} st_outbox;

static inline int64_t st_vector_size(st_outbox *o, int i) { return (int64_t)o->vectors[i].iov_len; }

static void st_outbox_put(st_outbox *o, int fd, void *address, int address_length, int n, int peer, int slot, int verdict) {
    int i = o->count++;
    memset(&o->messages[i], 0, sizeof o->messages[i]);
    o->fd[i] = fd; o->peer[i] = peer; o->slot[i] = slot; o->verdict[i] = verdict; o->arrival_us[i] = 0;
    o->vectors[i].iov_base = o->bytes[i];
    o->vectors[i].iov_len = n;
    o->messages[i].msg_hdr.msg_name = address;
    o->messages[i].msg_hdr.msg_namelen = address_length;
    o->messages[i].msg_hdr.msg_iov = &o->vectors[i];
    o->messages[i].msg_hdr.msg_iovlen = 1;
}

/* Sends from message `from` on; returns how many left, or -errno of the first. A short count hides the
 * error of the next message: send that one alone and it shows. */
static int st_send(st_outbox *o, int from, int count) {
    int sent = sendmmsg(o->fd[from], &o->messages[from], count, MSG_DONTWAIT);
    return sent < 0 ? -errno : sent;
}
#endif
