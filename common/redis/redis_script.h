/* The Lua functions, embedded at build time from scripts/fleet.lua. */
#pragma once

extern const char redis_fleet_script[]; /* 0 at the end */
extern const unsigned long redis_fleet_script_bytes;
