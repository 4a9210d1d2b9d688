/* How far AWS's clocks are from ours, by host: signatures live minutes, so a machine with a wrong clock still works. */
#pragma once

#include "common/aws/keyed.h"

#define SKEW_RETRY_MS 240000

struct http_response;

void skews_init(struct keyed_map *map);
/* Milliseconds to add to our clock for that host; 0 when nothing is known. */
int64_t skew_of(const struct keyed_map *map, const char *host);
/* Learns from an answer's Date; ignores answers out of a cache and exchanges of more than 15 minutes. */
void skew_learn(struct keyed_map *map, const char *host, const struct http_response *response, uint64_t now_ms);
