"""The protocol of ``protocol.py`` for its peers: in Promela for SPIN, and in Murphi for rumur, which knows symmetry too."""

from __future__ import annotations

BUFFERS = 2
RIGHT, IGNORES, NO_RETRY = 0, 1, 2


def promela(importers: int, slots: int, variant: int = RIGHT) -> str:
    """SPIN's: one guarded statement for each actor of p2plab's. 0 stands for no buffer and no slot."""
    retry = "stale[id]" if variant != NO_RETRY else "false"
    obeys = "id > 0" if variant == IGNORES else "true"
    free = {
        slot: "(" + " && ".join([f"where[{b}] != {slot}" for b in range(1, BUFFERS + 1)] + [f"target != {slot}"]) + ")"
        for slot in range(1, slots + 1)
    }
    some_free = " || ".join(free.values())
    nobody_left = " && ".join(f"!asked[{n}]" for n in range(importers))
    gone = "state[id] = 0; buffer[id] = 0; slot[id] = 0; stale[id] = false; asked[id] = false"
    ask = " ".join(
        f"if :: buffer[{n}] == lent && state[{n}] >= 2 -> asked[{n}] = true "
        f":: buffer[{n}] == lent && state[{n}] == 1 -> stale[{n}] = true :: else fi;"
        for n in range(importers)
    )
    astray = " || ".join(
        f"(state[{n}] >= 3 && (where[buffer[{n}]] != slot[{n}] || (doing == 2 && lent == buffer[{n}])))"
        for n in range(importers)
    )
    begins = "\n".join(
        f"  :: d_step {{ state[id] == 0 && where[{b}] != 0 && (doing == 0 || lent != {b})"
        f" -> state[id] = 1; buffer[id] = {b}; slot[id] = where[{b}]; stale[id] = false }}"
        for b in range(1, BUFFERS + 1)
    )
    moves = "\n".join(
        f"  :: d_step {{ doing == 0 && where[{b}] != 0 && ({some_free}) -> doing = 1; lent = {b}; {ask} }}"
        for b in range(1, BUFFERS + 1)
    )
    copies = "\n".join(
        f"  :: d_step {{ doing == 1 && {nobody_left} && {free[s]} -> doing = 2; target = {s} }}" for s in free
    )
    unmaps = "\n".join(
        f"  :: d_step {{ doing == 0 && where[{b}] != 0 -> doing = 3; lent = {b}; {ask} }}"
        for b in range(1, BUFFERS + 1)
    )
    maps = "\n".join(
        f"  :: d_step {{ doing == 0 && where[{b}] == 0 && {free[s]} -> where[{b}] = {s} }}"
        for b in range(1, BUFFERS + 1)
        for s in free
    )
    return f"""
byte where[{BUFFERS + 1}], doing, lent, target;
byte state[{importers}], buffer[{importers}], slot[{importers}]; bool stale[{importers}], asked[{importers}];
active [{importers}] proctype importer() {{
  byte id = _pid;
  do
{begins}
  :: d_step {{ state[id] == 1 && {retry} -> {gone} }}
  :: d_step {{ state[id] == 1 && !({retry}) -> state[id] = 2; stale[id] = false }}
  :: d_step {{ state[id] == 2 && !asked[id] -> state[id] = 3 }}
  :: d_step {{ state[id] == 3 -> state[id] = 2 }}
  :: d_step {{ asked[id] && state[id] == 2 && {obeys} -> {gone} }}
  :: d_step {{ asked[id] && state[id] == 3 && {obeys} -> state[id] = 4 }}
  :: d_step {{ asked[id] && (state[id] == 2 || state[id] == 3) && !({obeys}) -> asked[id] = false }}
  :: d_step {{ state[id] == 4 -> {gone} }}
  :: d_step {{ state[id] == 2 && !asked[id] -> {gone} }}
  od
}}
active proctype exporter() {{
  do
{moves}
{copies}
  :: d_step {{ doing == 2 -> where[lent] = target; doing = 0; lent = 0; target = 0 }}
  od
}}
active proctype cpu() {{
  do
{unmaps}
  :: d_step {{ doing == 3 && {nobody_left} -> where[lent] = 0; doing = 0; lent = 0 }}
{maps}
  od
}}
active proctype watch() {{ d_step {{ ({astray}) -> assert(false) }} }}
"""


def murphi(importers: int, slots: int, variant: int = RIGHT) -> str:
    """Rumur's: importers, buffers and slots are scalarsets, what is not there is undefined."""
    if variant == IGNORES:
        raise ValueError("an importer that is not like the others is no member of a scalarset")
    retry = "me.stale" if variant != NO_RETRY else "false"
    return f"""
type importer: scalarset({importers}); buffer: scalarset({BUFFERS}); slot: scalarset({slots});
  device: record state: 0..4; lent: buffer; at: slot; stale: boolean; asked: boolean; end;
var places: array[buffer] of slot; doing: 0..3; moving: buffer; target: slot; devices: array[importer] of device;
function mapped(b: buffer): boolean; begin return !isundefined(places[b]); end;
function isfree(s: slot): boolean;
begin
  for b: buffer do if mapped(b) & places[b] = s then return false; end; end;
  return isundefined(target) | target != s;
end;
function somefree(): boolean; begin for s: slot do if isfree(s) then return true; end; end; return false; end;
function nobodyleft(): boolean;
begin for i: importer do if devices[i].asked then return false; end; end; return true; end;
procedure letgo(i: importer);
begin
  devices[i].state := 0; undefine devices[i].lent; undefine devices[i].at;
  devices[i].stale := false; devices[i].asked := false;
end;
procedure askback(b: buffer);
begin
  moving := b;
  for i: importer do
    if devices[i].state > 0 & devices[i].lent = b then
      if devices[i].state >= 2 then devices[i].asked := true; else devices[i].stale := true; end;
    end;
  end;
end;
startstate begin
  undefine places; doing := 0; undefine moving; undefine target;
  for i: importer do letgo(i); end;
end;
ruleset i: importer do alias me: devices[i] do
  ruleset b: buffer do
    rule "p2p_map" me.state = 0 & mapped(b) & (doing = 0 | moving != b) ==>
    begin me.state := 1; me.lent := b; me.at := places[b]; me.stale := false; end;
  end;
  rule "again" me.state = 1 & {retry} ==> begin letgo(i); end;
  rule "programs" me.state = 1 & !({retry}) ==> begin me.state := 2; me.stale := false; end;
  rule "DMA" me.state = 2 & !me.asked ==> begin me.state := 3; end;
  rule "DMA ends" me.state = 3 ==> begin me.state := 2; end;
  rule "gives back" me.asked & me.state = 2 ==> begin letgo(i); end;
  rule "drains" me.asked & me.state = 3 ==> begin me.state := 4; end;
  rule "is drained" me.state = 4 ==> begin letgo(i); end;
  rule "p2p_unmap" me.state = 2 & !me.asked ==> begin letgo(i); end;
end; end;
ruleset b: buffer do
  rule "asks back" doing = 0 & mapped(b) & somefree() ==> begin doing := 1; askback(b); end;
  rule "munmap" doing = 0 & mapped(b) ==> begin doing := 3; askback(b); end;
  ruleset s: slot do rule "mmap" doing = 0 & !mapped(b) & isfree(s) ==> begin places[b] := s; end; end;
end;
ruleset s: slot do
  rule "copies" doing = 1 & nobodyleft() & isfree(s) ==> begin doing := 2; target := s; end;
end;
rule "has copied" doing = 2 ==> begin places[moving] := target; doing := 0; undefine moving; undefine target; end;
rule "is unmapped" doing = 3 & nobodyleft() ==> begin undefine places[moving]; doing := 0; undefine moving; end;
invariant "no stale DMA"
  forall i: importer do devices[i].state >= 3 -> (mapped(devices[i].lent) & devices[i].at = places[devices[i].lent]
    & !(doing = 2 & moving = devices[i].lent)) end;
"""
