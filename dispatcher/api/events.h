/* Server-sent events: each client follows the event stream of every shard from its own place, so coming back with
 * Last-Event-ID is the same as never having left. The id of an event is the vector of places. */
#pragma once

struct api;
struct event_hub;
struct event_hub *event_hub_new(struct api *api);
/* Frees itself when nothing is under way. Streams must have ended (http_server_stop). */
void event_hub_stop(struct event_hub *hub);
