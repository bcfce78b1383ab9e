"""Breakers and rates that processes share, as scripts in Redis: on its clock, each in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from shipway.domain.limits import Rate
from shipway.resilience.shared import Seen, Taken

#: What nobody looked at for so long is forgotten.
KEEP_S = 3600.0

# A breaker is a hash: s (o: open, c: closed), g (its generation, the server's time of the change),
# u (open until), l and h (lease and holder of the probe). Times are microseconds of the server.
_BREAKER = """
local t = redis.call('TIME'); local now = t[1] * 1000000 + t[2]
local op, token, n, known = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local r = redis.call('HMGET', KEYS[1], 's', 'g', 'u', 'l', 'h')
local s, g, u, l, h = r[1] or '', tonumber(r[2] or 0), tonumber(r[3] or 0), tonumber(r[4] or 0), r[5] or ''
local function put(...)
  redis.call('HSET', KEYS[1], ...); redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
local function say(word, wait)
  return {word, string.format('%.0f', g), string.format('%.0f', math.max(0, wait))}
end
local function stands()
  if s == '' then return say('unknown', 0) end
  if s == 'c' then return say('closed', 0) end
  if now < u then return say('open', u - now) end
  return say('leased', l - now)
end
if op == 'trip' then
  if (token ~= '' and h ~= token) or (token == '' and s == 'o' and now < u) then return stands() end
  g = now; u = now + n; s = 'o'
  put('s', 'o', 'g', string.format('%.0f', now), 'u', string.format('%.0f', u), 'l', 0, 'h', '')
elseif op == 'enter' then
  if s == 'c' and known > 0 and g > known then return say('closed', 0) end
  if s == 'o' and now < u then return say('open', u - now) end
  if s == 'o' and now < l then return say('leased', l - now) end
  if s ~= 'o' then g = now end
  put('s', 'o', 'g', string.format('%.0f', g), 'l', string.format('%.0f', now + n), 'h', token)
  return say('granted', n)
elseif op == 'close' and h == token then
  g = now; s = 'c'
  put('s', 'c', 'g', string.format('%.0f', now), 'u', 0, 'l', 0, 'h', '')
elseif op == 'free' and h == token then
  l = 0; put('l', 0, 'h', '')
end
return stands()
"""

# GCRA: one timestamp (tat) for each key, in microseconds of the server.
_RATE = """
local t = redis.call('TIME'); local now = t[1] * 1000000 + t[2]
local interval, whole, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local new = tat + interval * cost
local wait = new - whole - now
if wait > 0 then
  return {0, math.floor((whole - (tat - now)) / interval), math.ceil(wait), math.ceil(tat - now)}
end
if ARGV[4] == 'take' then
  redis.call('SET', KEYS[1], string.format('%.0f', new), 'PX', math.ceil((new - now) / 1000) + 1)
end
return {1, math.floor((whole - (new - now)) / interval), 0, math.ceil(new - now)}
"""


class Scripts(Protocol):
    """What runs a script on the server; ``RedisBus`` is one. Raises NetworkError."""

    async def evaluate(self, script: str, keys: Sequence[str], *values: Any) -> Any: ...


class SharedState:
    """Both protocols of ``resilience.shared`` over one server."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def look(self, name: str) -> Seen:
        return await self._breaker(name, "look")

    async def trip(self, name: str, token: str | None, seconds: float) -> Seen:
        return await self._breaker(name, "trip", token or "", seconds)

    async def enter(self, name: str, known: int, token: str, lease: float) -> Seen:
        return await self._breaker(name, "enter", token, lease, known)

    async def close(self, name: str, token: str) -> Seen:
        return await self._breaker(name, "close", token)

    async def free(self, name: str, token: str) -> Seen:
        return await self._breaker(name, "free", token)

    async def peek(self, key: str, rate: Rate, cost: int) -> Taken:
        return await self._rate("peek", key, rate, cost)

    async def take(self, key: str, rate: Rate, cost: int) -> Taken:
        return await self._rate("take", key, rate, cost)

    async def _rate(self, op: str, key: str, rate: Rate, cost: int) -> Taken:
        interval, whole = _micro(rate.interval), _micro(rate.seconds)
        allowed, left, wait, reset = await self._scripts.evaluate(
            _RATE, [f"rate:{key}"], interval, whole, cost, op
        )
        return Taken(bool(allowed), max(0, left), wait / 1e6, reset / 1e6)

    async def _breaker(
        self, name: str, op: str, token: str = "", seconds: float = 0.0, known: int = 0
    ) -> Seen:
        keep = int((KEEP_S + seconds) * 1000)
        word, generation, wait = await self._scripts.evaluate(
            _BREAKER, [f"breaker:{name}"], op, token, _micro(seconds), known, keep
        )
        return Seen(cast("Any", word.decode()), int(generation), int(wait) / 1e6)


def _micro(seconds: float) -> int:
    return max(0, round(seconds * 1_000_000))
