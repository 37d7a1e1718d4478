"""Which process leads a command's group, and the scripts that end it; pure.

Only what a begin marker told is known of it (_wire). Must not know asyncssh.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BOOT = b"/proc/sys/kernel/random/boot_id"
"""Tells one boot of one machine from all others, on Linux."""

# Of what stands behind the name in /proc/PID/stat (proc(5)): when the process began.
_STAT_START = 19
_LAST_PID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Leader:
    """The process that leads a command's group, told so exactly that no other is taken for it."""

    pid: int
    boot: str
    """The boot of the machine that it runs on."""
    start: str
    """When it began, in the kernel's clock ticks since that boot."""


def read_pid(told: bytes | None) -> int | None:
    """Return the process group that a begin marker tells; it leads a group of its own."""
    word = (told or b"").split(b" ", 1)[0]
    # A server may send thousands of digits, and int() reads 4300 at the most.
    number = int(word) if re.fullmatch(rb"[0-9]{1,10}", word) else 0
    # Within a PID namespace of its own it may be 1, and "kill -- -1" means everybody.
    return number if 1 < number <= _LAST_PID else None


def read_leader(told: bytes | None) -> Leader | None:
    """Return what a begin marker tells of the process; None where the system does not say."""
    pid = read_pid(told)
    boot, _, stat = (told or b"").partition(b" ")[2].partition(b" ")
    fields = stat.split()
    if pid is None or not re.fullmatch(rb"[0-9a-f-]{8,64}", boot) or len(fields) <= _STAT_START:
        return None
    start = fields[_STAT_START]
    return Leader(pid, boot.decode(), start.decode()) if start.isdigit() else None


def reap_script(leader: Leader, grace: float) -> bytes:
    """Return a command that ends the group of a process if that is still the same one.

    It may run on another machine of the same name, or after the PID was given to another. A
    leader that has ended and is only not reaped has left its children to the user.
    """
    boot, start = leader.boot.encode(), leader.start.encode()
    check = (
        b"{ read -r b <%s;read -r l </proc/%d/stat;} 2>/dev/null||exit 0;"
        b'[ "$b" = %s ]||exit 0;set -- ${l##*)};[ "${%d}" = %s ]||exit 0;[ "$1" = Z ]&&exit 0;'
        % (BOOT, leader.pid, boot, _STAT_START + 1, start)
    )
    return b"exec /bin/sh -c '" + check + _stop_body(leader.pid, grace) + b"'"


def stop_script(pgid: int, grace: float, leader: Leader | None = None) -> bytes:
    """Return a command that ends a process group, and prints ``gone`` once it is (RUN-11).

    With its leader known, a group of the same number that another process leads by now is left
    alone: ours has ended, since a number is given anew only when its group is empty.
    """
    check = b""
    if leader is not None:
        check = b"l=;{ read -r l </proc/%d/stat;} 2>/dev/null;" % leader.pid
        check += b'set -- ${l##*)};case "$l:${%d}" in :*|*:%s);;*)echo gone;exit 0;;esac;' % (
            _STAT_START + 1,
            leader.start.encode(),
        )
    return b"exec /bin/sh -c '" + check + _stop_body(pgid, grace) + b"'"


def signal_script(pgid: int, name: str) -> bytes:
    """Return a command that sends a signal to a process group."""
    return b"exec /bin/sh -c 'kill -s " + name.encode() + b" -- -%d'" % pgid


def _stop_body(pgid: int, grace: float) -> bytes:
    """Return its script: TERM, then KILL after ``grace`` seconds, and at most 2 seconds more.

    Zombies do not count: some containers have an init that does not reap. No ``!``, for tcsh.
    ``kill -s``, for dash.
    """
    group = b"-- -%d" % pgid
    # kill -0 fails for a process of another user as well, and succeeds for zombies, so /proc has
    # the last word. It is read rarely: with thousands of processes that takes longer than a turn.
    # 'sleep 0.05' is not POSIX; a second is counted as twenty of it.
    turns = max(1, round(grace / 0.05))
    return (
        b"n=0;a(){ kill -s 0 " + group + b" 2>/dev/null;k=$?;[ -r /proc/self/stat ]||return $k;"
        b"n=$((n+1));[ $k -eq 0 ]&&[ $((n%%10)) -ne 1 ]&&return 0;"
        b"for s in /proc/[0-9]*/stat;do { read -r l<$s;} 2>/dev/null||continue;"
        b"set -- ${l##*)};"
        b'[ "$3" = %d ]||continue;[ "$1" = Z ]||return 0;done;return 1;};'
        % pgid
        + b"z(){ if sleep 0.05 2>/dev/null;then i=$((i+1));else sleep 1;i=$((i+20));fi;};"
        b"kill -s TERM " + group + b" 2>/dev/null;i=0;"
        b"while a&&[ $i -lt %d ];do z;done;"
        % turns
        + b"kill -s KILL "
        + group
        + b" 2>/dev/null;i=0;"
        b"while a;do [ $i -lt 40 ]||exit 1;z;done;echo gone"
    )
