/*
 * Closed-loop DHCP load: so many machines at once, each through DISCOVER, OFFER, REQUEST, ACK.
 *
 *   dhcpload INTERFACE FIRST COUNT OUTSTANDING [SECONDS [RATE [FILE]]]
 *
 * FIRST numbers the machines (the last four bytes of their hardware addresses), COUNT is how many go through the
 * exchange, OUTSTANDING how many are under way at any moment.  After SECONDS (60) no more begin; RATE is how many begin
 * in a second at most.  Replies are asked for by broadcast.  A message that is not answered within a second is sent
 * again, five times at most.  Prints one JSON object; "last" is the time until the last ACK.  FILE gets a line for
 * each machine with an ACK: its number among them, and its address.  SIGTERM ends the load early.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5, NAK = 6 };

struct machine {
    double begun, sent;
    float offer, ack;
    uint32_t address, server;
    uint8_t state, tries; /* state: 0 idle, DISCOVER, REQUEST, ACK (done), NAK (failed) */
};

static struct machine *machines;
static uint32_t first, count;
static int sock;
static struct sockaddr_in target;
static long again, naks;
static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void send_message(uint32_t i, int type)
{
    uint8_t p[300] = {1, 1, 6, 0};
    struct machine *m = &machines[i];
    uint32_t xid = htonl(0x40000000u + i), number = htonl(first + i);
    uint8_t *o = p + 240;
    memcpy(p + 4, &xid, 4);
    p[10] = 0x80;
    p[28] = 0x02;
    p[29] = 0x50;
    memcpy(p + 30, &number, 4);
    memcpy(p + 236, "\x63\x82\x53\x63", 4);
    *o++ = 53, *o++ = 1, *o++ = (uint8_t)type;
    if (type == REQUEST) {
        *o++ = 50, *o++ = 4, memcpy(o, &m->address, 4), o += 4;
        *o++ = 54, *o++ = 4, memcpy(o, &m->server, 4), o += 4;
    }
    *o++ = 55, *o++ = 6, *o++ = 1, *o++ = 3, *o++ = 6, *o++ = 15, *o++ = 51, *o++ = 54;
    *o++ = 255;
    m->state = (uint8_t)type;
    m->sent = now();
    if (m->tries == 0 && type == DISCOVER)
        m->begun = m->sent;
    sendto(sock, p, sizeof p, 0, (struct sockaddr *)&target, sizeof target);
}

static int receive(void) /* how many machines came to an end */
{
    uint8_t p[2048];
    int ended = 0;
    for (int burst = 0; burst < 64; burst++) {
        ssize_t n = recv(sock, p, sizeof p, MSG_DONTWAIT);
        if (n < 0)
            break;
        uint32_t xid, i, server = 0;
        int type = 0;
        if (n < 244 || p[0] != 2)
            continue;
        memcpy(&xid, p + 4, 4);
        i = ntohl(xid) - 0x40000000u;
        if (i >= count)
            continue;
        for (uint8_t *o = p + 240; o + 1 < p + n && *o != 255;) {
            if (*o == 0) {
                o++;
                continue;
            }
            if (o + 2 + o[1] > p + n)
                break;
            if (*o == 53)
                type = o[2];
            else if (*o == 54)
                memcpy(&server, o + 2, 4);
            o += 2 + o[1];
        }
        struct machine *m = &machines[i];
        double t = now();
        if (type == OFFER && m->state == DISCOVER) {
            memcpy(&m->address, p + 16, 4);
            m->server = server;
            m->offer = (float)(t - m->sent);
            m->tries = 0;
            send_message(i, REQUEST);
        } else if (type == ACK && m->state == REQUEST) {
            m->ack = (float)(t - m->sent);
            m->state = ACK;
            ended++;
        } else if (type == NAK && m->state == REQUEST) {
            naks++;
            m->state = NAK;
            ended++;
        }
    }
    return ended;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return fprintf(stderr, "usage: dhcpload INTERFACE FIRST COUNT OUTSTANDING [SECONDS [RATE [FILE]]]\n"), 2;
    first = (uint32_t)strtoul(argv[2], 0, 0);
    count = (uint32_t)strtoul(argv[3], 0, 0);
    uint32_t outstanding = (uint32_t)strtoul(argv[4], 0, 0), next = 0, done = 0, failed = 0;
    int on = 1, size = 16 << 20;
    machines = calloc(count, sizeof *machines);
    sock = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(sock, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(sock, SOL_SOCKET, SO_BINDTODEVICE, argv[1], strlen(argv[1]) + 1);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(68)};
    if (bind(sock, (struct sockaddr *)&own, sizeof own))
        return perror("bind"), 1;
    target.sin_family = AF_INET;
    target.sin_port = htons(67);
    target.sin_addr.s_addr = INADDR_BROADCAST;
    double limit = argc > 5 ? atof(argv[5]) : 60, rate = argc > 6 ? atof(argv[6]) : 0;
    double begin = now(), looked = begin, last = begin;
    signal(SIGTERM, stop);
    while (done + failed < count && !stopped) {
        while (next < count && next - done - failed < outstanding && (rate <= 0 || next < (now() - begin) * rate))
            send_message(next++, DISCOVER);
        struct pollfd p = {.fd = sock, .events = POLLIN};
        poll(&p, 1, rate > 0 ? 1 : 50);
        uint32_t ended = (uint32_t)receive();
        double t = now();
        if (ended)
            done += ended, last = t;
        if (t - looked > 0.1) {
            looked = t;
            for (uint32_t i = 0; i < next; i++) {
                struct machine *m = &machines[i];
                if ((m->state == DISCOVER || m->state == REQUEST) && t - m->sent > 1) {
                    if (++m->tries > 5) {
                        m->state = NAK;
                        failed++;
                    } else {
                        again++;
                        send_message(i, m->state);
                    }
                }
            }
        }
        if (t - begin > limit)
            count = next;
        if (t - begin > limit + 15)
            break;
    }
    if (argc > 7) {
        FILE *file = fopen(argv[7], "w");
        if (!file)
            return perror(argv[7]), 1;
        for (uint32_t i = 0; i < count; i++)
            if (machines[i].state == ACK)
                fprintf(file, "%u %s\n", i, inet_ntoa((struct in_addr){machines[i].address}));
        fclose(file);
    }
    double seconds = last - begin;
    float *offers = malloc(count * sizeof(float)), *acks = malloc(count * sizeof(float));
    uint32_t good = 0;
    for (uint32_t i = 0; i < count; i++)
        if (machines[i].state == ACK) {
            offers[good] = machines[i].offer;
            acks[good++] = machines[i].ack;
        }
    qsort(offers, good, sizeof *offers, ascending);
    qsort(acks, good, sizeof *acks, ascending);
#define P(list, part) (good ? (list)[(uint32_t)((good - 1) * (part))] * 1e3 : 0)
    printf("{\"completed\": %u, \"failed\": %u, \"naks\": %ld, \"again\": %ld, \"seconds\": %.4f, \"rate\": %.1f, "
           "\"offer_p50\": %.3f, \"offer_p99\": %.3f, \"ack_p50\": %.3f, \"ack_p99\": %.3f, \"last\": %.4f}\n",
           good, failed, naks, again, seconds, seconds > 0 ? good / seconds : 0, P(offers, .5), P(offers, .99),
           P(acks, .5), P(acks, .99), seconds);
    return 0;
}
