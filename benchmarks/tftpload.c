/*
 * A TFTP load: many clients in one process, as cheap as C can make them, so that the server is what is measured.
 *
 *   tftpload SERVER PORT NAME SIZE CLIENTS TRANSFERS BLKSIZE WINDOWSIZE [LOSS [DELAY_US [REORDER [BUFFER [SEED [LIMIT]]]]]]
 *
 * CLIENTS sockets fetch NAME again and again until TRANSFERS are through.  A file is right when its size is SIZE and each
 * 8-byte word at a block's beginning is its own index (what tftp.py writes), little endian.  LOSS (0..1) drops so much of
 * what arrives and of what is sent; DELAY_US holds each ACK back, which is the link's round trip; REORDER (0..1) of the
 * datagrams arrive behind the next one; BUFFER (0: no limit) is how many packets the switch port before the client
 * holds, which passes them on at one gigabit, and drops what comes on top.  A client repeats its ACK after 3 s, as firmware does, and gives up after 30.
 * Prints one JSON object.  After LIMIT seconds (0: never) what has arrived until then is all.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define PACKET 65536

struct client {
    int fd;
    int active;
    uint32_t begun;              /* whose OACK or first block was seen */
    uint32_t block;              /* newest in order */
    uint32_t in_window;
    uint32_t windowsize;
    uint32_t blksize;
    uint64_t bytes;
    int told;                    /* of the present gap */
    double started, progress, spoke;
    struct sockaddr_in peer;
};

struct late { double when; int client; uint32_t generation; uint16_t block; };

static struct sockaddr_in server;
static const char *name;
static uint64_t size;
static int clients, transfers, blksize, windowsize;
static double loss, delay, reorder, buffer, limit, level, drained;
static struct client *all;
static uint32_t *generation;
static double *took;
static int begun, finished, failed, wrong;
static uint64_t received, datagrams;
static struct late *queue;
static size_t queue_head, queue_tail, queue_size = 1 << 16;
static int poller;
static char *buffers;
static struct mmsghdr messages[BATCH];
static struct iovec vectors[BATCH];
static struct sockaddr_in sources[BATCH];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* Whether a packet of N bytes finds no room in the switch port. */
static int overflows(int n, double at)
{
    if (buffer <= 0)
        return 0;
    level -= (at - drained) * 125e6 / (n + 66); /* with headers, preamble and gap */
    drained = at;
    if (level < 0)
        level = 0;
    if (level + 1 > buffer)
        return 1;
    level++;
    return 0;
}

static int lost(void) { return loss > 0 && drand48() < loss; }

static void request(struct client *c)
{
    char packet[1024];
    int n = 2;
    packet[0] = 0;
    packet[1] = 1;
    n += sprintf(packet + n, "%s", name) + 1;
    n += sprintf(packet + n, "octet") + 1;
    if (blksize != 512) {
        n += sprintf(packet + n, "blksize") + 1;
        n += sprintf(packet + n, "%d", blksize) + 1;
    }
    if (windowsize > 1) {
        n += sprintf(packet + n, "windowsize") + 1;
        n += sprintf(packet + n, "%d", windowsize) + 1;
    }
    if (!lost())
        sendto(c->fd, packet, n, 0, (struct sockaddr *)&server, sizeof server);
}

static void start(struct client *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = c - all};
    int room = 4 << 20;
    c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) {
        perror("socket");
        exit(1);
    }
    setsockopt(c->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
    c->active = 1;
    c->begun = c->block = c->in_window = c->told = 0;
    c->windowsize = 1;
    c->blksize = 512;
    c->bytes = 0;
    c->started = c->progress = c->spoke = now();
    begun++;
    request(c);
}

static void stop(struct client *c, int good)
{
    close(c->fd);
    c->active = 0;
    generation[c - all]++;
    if (good)
        took[finished++] = now() - c->started;
    else
        failed++;
    if (begun < transfers)
        start(c);
}

static void transmit(struct client *c, uint16_t block)
{
    unsigned char ack[4] = {0, 4, block >> 8, block & 0xff};
    if (!lost())
        sendto(c->fd, ack, 4, 0, (struct sockaddr *)&c->peer, sizeof c->peer);
}

static void acknowledge(struct client *c, double at)
{
    c->in_window = 0;
    c->spoke = at;
    if (delay <= 0) {
        transmit(c, c->block);
        return;
    }
    queue[queue_tail++ % queue_size] = (struct late){at + delay, c - all, generation[c - all], c->block};
}

static void options(struct client *c, char *text, char *end)
{
    while (text < end) {
        char *value = text + strlen(text) + 1;
        if (value >= end)
            break;
        if (!strcasecmp(text, "blksize"))
            c->blksize = atoi(value);
        if (!strcasecmp(text, "windowsize"))
            c->windowsize = atoi(value);
        text = value + strlen(value) + 1;
    }
}

/* Returns 0 when the client is through. */
static int take(struct client *c, unsigned char *packet, int n, double at)
{
    int kind = packet[0] << 8 | packet[1];
    uint16_t number = packet[2] << 8 | packet[3], ahead;
    datagrams++;
    if (n < 4 || lost() || overflows(n, at))
        return 1;
    if (kind == 5) {
        fprintf(stderr, "error %d: %.*s\n", number, n - 4, packet + 4);
        stop(c, 0);
        return 0;
    }
    if (kind == 6) {
        if (!c->begun) {
            c->begun = 1;
            packet[n - 1] = 0;
            options(c, (char *)packet + 2, (char *)packet + n);
        }
        if (c->block == 0)
            acknowledge(c, at);
        return 1;
    }
    if (kind != 3)
        return 1;
    c->begun = 1;
    ahead = number - (uint16_t)c->block;
    if (ahead == 1) {
        uint64_t word = (uint64_t)c->block * c->blksize;
        int length = n - 4;
        if (c->blksize % 8 == 0 && length >= 8) {
            uint64_t seen;
            memcpy(&seen, packet + 4, 8);
            wrong += seen != word / 8;
        } else if (c->blksize % 4 == 0 && length >= 12) {
            uint64_t seen;
            memcpy(&seen, packet + 4 + (word % 8 ? 4 : 0), 8);
            wrong += seen != (word + 4) / 8;
        }
        c->block++;
        c->bytes += length;
        received += length;
        c->told = 0;
        c->progress = at;
        c->in_window++;
        if (length < (int)c->blksize) {
            transmit(c, c->block);
            if (c->bytes != size)
                wrong++;
            stop(c, c->bytes == size);
            return 0;
        }
        if (c->in_window >= c->windowsize)
            acknowledge(c, at);
    } else if (ahead == 0) {
        if (c->in_window == 0)
            acknowledge(c, at);
    } else if (ahead < 32768 && !c->told) {
        c->told = 1;
        acknowledge(c, at);
    }
    return 1;
}

static void drain(struct client *c)
{
    for (;;) {
        int i, n, order[BATCH];
        double at;
        for (i = 0; i < BATCH; i++)
            messages[i].msg_hdr.msg_namelen = sizeof sources[i];
        n = recvmmsg(c->fd, messages, c->windowsize > 1 ? BATCH : 1, MSG_DONTWAIT, NULL);
        if (n <= 0)
            return;
        at = now();
        c->peer = sources[0];
        for (i = 0; i < n; i++)
            order[i] = i;
        for (i = 0; reorder > 0 && i + 1 < n; i++)
            if (drand48() < reorder)
                order[i] = i + 1, order[i + 1] = i, i++;
        for (i = 0; i < n; i++)
            if (!take(c, (unsigned char *)buffers + (size_t)order[i] * PACKET, messages[order[i]].msg_len, at))
                return;
        if (n < BATCH)
            return;
    }
}

static void watch(double at)
{
    int i;
    for (i = 0; i < clients; i++) {
        struct client *c = all + i;
        if (!c->active)
            continue;
        if (at - c->progress > 30)
            stop(c, 0);
        else if (at - c->progress > 3 && at - c->spoke > 3) {
            c->told = 0;
            c->spoke = at;
            if (c->begun)
                acknowledge(c, at);
            else
                request(c);
        }
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];
    struct rusage usage;
    double begin, end, last;
    int i;
    if (argc < 9)
        return 2;
    server.sin_family = AF_INET;
    inet_pton(AF_INET, argv[1], &server.sin_addr);
    server.sin_port = htons(atoi(argv[2]));
    name = argv[3];
    size = strtoull(argv[4], NULL, 10);
    clients = atoi(argv[5]);
    transfers = atoi(argv[6]);
    blksize = atoi(argv[7]);
    windowsize = atoi(argv[8]);
    loss = argc > 9 ? atof(argv[9]) : 0;
    delay = argc > 10 ? atof(argv[10]) / 1e6 : 0;
    reorder = argc > 11 ? atof(argv[11]) : 0;
    buffer = argc > 12 ? atof(argv[12]) : 0;
    srand48(argc > 13 ? atoi(argv[13]) : 1);
    limit = argc > 14 ? atof(argv[14]) : 0;
    all = calloc(clients, sizeof *all);
    generation = calloc(clients, sizeof *generation);
    took = calloc(transfers + 1, sizeof *took);
    queue = calloc(queue_size, sizeof *queue);
    buffers = malloc((size_t)BATCH * PACKET);
    for (i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){buffers + (size_t)i * PACKET, PACKET};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = vectors + i, .msg_iovlen = 1, .msg_name = sources + i};
    }
    poller = epoll_create1(0);
    begin = last = now();
    for (i = 0; i < clients && begun < transfers; i++)
        start(all + i);
    while (finished + failed < transfers && (limit <= 0 || now() - begin < limit)) {
        int n, wait = 500;
        double at;
        if (queue_head != queue_tail) {
            double left = queue[queue_head % queue_size].when - now();
            wait = left > 0.0012 ? (int)(left * 1000) : 0;
        }
        n = epoll_wait(poller, events, 256, wait);
        for (i = 0; i < n; i++)
            drain(all + events[i].data.u32);
        at = now();
        while (queue_head != queue_tail && queue[queue_head % queue_size].when <= at) {
            struct late *l = queue + queue_head++ % queue_size;
            if (l->generation == generation[l->client])
                transmit(all + l->client, l->block);
        }
        if (at - last > 0.5) {
            last = at;
            watch(at);
        }
    }
    end = now();
    getrusage(RUSAGE_SELF, &usage);
    qsort(took, finished, sizeof *took, by_value);
    printf("{\"seconds\": %.6f, \"bytes\": %llu, \"finished\": %d, \"failed\": %d, \"wrong\": %d, \"datagrams\": %llu, "
           "\"median\": %.6f, \"slowest\": %.6f, \"cpu\": %.3f}\n",
           end - begin, (unsigned long long)received, finished, failed, wrong, (unsigned long long)datagrams,
           finished ? took[finished / 2] : 0, finished ? took[finished - 1] : 0,
           usage.ru_utime.tv_sec + usage.ru_utime.tv_usec / 1e6 + usage.ru_stime.tv_sec + usage.ru_stime.tv_usec / 1e6);
    return failed || wrong;
}
