"""Which process leads a command's group, and the scripts that end it; pure.

Only what a begin marker told is known of it (_wire). Must not know asyncssh.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BOOT = b"/proc/sys/kernel/random/boot_id"
"""Tells one boot of one machine from all others, on Linux."""

# Of what stands behind the name in /proc/PID/stat (proc(5)): the group, and when it began.
_STAT_GROUP = 2
_STAT_START = 19
_LAST_PID = 2**31 - 1
# The line in l, split behind the name. Quoted: for ksh93 a bare parenthesis there ends nothing.
_SPLIT = b'set -- ${l##*")"};'


@dataclass(frozen=True, slots=True)
class Leader:
    """The process that a command began as, told so exactly that no other is taken for it."""

    pid: int
    boot: str
    """The boot of the machine that it runs on."""
    start: str
    """When it began, in the kernel's clock ticks since that boot."""
    group: int
    """Its process group: led by itself, or by a wrapper of the site that waits for it."""


def read_pid(told: bytes | None) -> int | None:
    """Return the process that a begin marker tells."""
    return _number((told or b"").split(b" ", 1)[0])


def read_group(told: bytes | None) -> int | None:
    """Return the process group that a begin marker tells.

    A site may run commands from a wrapper that is no more than their parent: then that leads the
    group. Where the system does not say, the process is taken for the leader.
    """
    pid, fields = read_pid(told), _stat(told)
    if pid is None or len(fields) <= _STAT_GROUP:
        return pid
    return _number(fields[_STAT_GROUP]) or pid


def _stat(told: bytes | None) -> list[bytes]:
    """Return what a begin marker tells of /proc/PID/stat, from behind the name on."""
    return (told or b"").partition(b" ")[2].partition(b" ")[2].split()


def _number(word: bytes) -> int | None:
    # A server may send thousands of digits, and int() reads 4300 at the most.
    number = int(word) if re.fullmatch(rb"[0-9]{1,10}", word) else 0
    # Within a PID namespace of its own it may be 1, and "kill -- -1" means everybody.
    return number if 1 < number <= _LAST_PID else None


def read_leader(told: bytes | None) -> Leader | None:
    """Return what a begin marker tells of the process; None where the system does not say."""
    pid, group, fields = read_pid(told), read_group(told), _stat(told)
    boot = (told or b"").partition(b" ")[2].partition(b" ")[0]
    if pid is None or group is None or not re.fullmatch(rb"[0-9a-f-]{8,64}", boot):
        return None
    if len(fields) <= _STAT_START or not fields[_STAT_START].isdigit():
        return None
    return Leader(pid, boot.decode(), fields[_STAT_START].decode(), group)


def reap_script(leader: Leader, grace: float) -> bytes:
    """Return a script that ends the group of a process if that is still the same one.

    It may run on another machine of the same name, or after the PID was given to another. A
    leader that has ended and is only not reaped has left its children to the user.
    """
    boot, start = leader.boot.encode(), leader.start.encode()
    check = (
        b"{ read -r b <%s;read -r l </proc/%d/stat;} 2>/dev/null||exit 0;"
        b'[ "$b" = %s ]||exit 0;%b[ "${%d}" = %s ]||exit 0;[ "$1" = Z ]&&exit 0;'
        % (BOOT, leader.pid, boot, _SPLIT, _STAT_START + 1, start)
    )
    return check + _stop_body(leader.group, grace)


def stop_script(pgid: int, grace: float, leader: Leader | None = None) -> bytes:
    """Return a script that ends a process group, and prints ``gone`` once it is (RUN-11).

    Its status is 1 if some of the group cannot be ended, and 2 if it cannot say.
    With its leader known, a group of the same number that another process leads by now is left
    alone: ours has ended, since a number is given anew only when its group is empty.
    """
    check = b""
    if leader is not None and leader.pid == pgid:
        check = b"l=;{ read -r l </proc/%d/stat;} 2>/dev/null;" % leader.pid
        check += _SPLIT + b'case "$l:${%d}" in :*|*:%s);;*)echo gone;exit 0;;esac;' % (
            _STAT_START + 1,
            leader.start.encode(),
        )
    return check + _stop_body(pgid, grace)


def signal_script(pgid: int, name: str) -> bytes:
    """Return a script that sends a signal to a process group; status 0 says that it did."""
    return _spare(pgid) + b"kill -s " + name.encode() + b" -- -%d" % pgid


def _spare(pgid: int) -> bytes:
    """Return what refuses, with status 2, to signal the group that the script is in itself.

    A server that gives no session a group of its own runs both in its own, and would be ended.
    """
    own = b"l=;{ read -r l </proc/$$/stat;} 2>/dev/null;" + _SPLIT
    return own + b'[ "${%d}" = %d ]&&exit 2;' % (_STAT_GROUP + 1, pgid)


def _stop_body(pgid: int, grace: float) -> bytes:
    """Return its script: TERM, then KILL after ``grace`` seconds, and at most 2 seconds more.

    That the kernel knows no process of the group is the end (ESRCH of kill(2), which shells tell
    in these words in the C locale); before KILL only that is. Else it goes on, but for what /proc
    shows now and then: a group of zombies, which kill(2) counts, and which stay where the first
    process of a container does not reap. A look takes long beside thousands of processes, and
    may miss one that forks on. No ``!``, for tcsh. ``kill -s``, for dash.
    """
    group = b"-- -%d" % pgid
    # 'sleep 0.05' is not POSIX; a second is counted as twenty of it.
    turns = max(1, round(grace / 0.05))
    return _spare(pgid) + (
        b"LC_ALL=C;export LC_ALL;n=0;g(){ echo gone;exit 0;};"
        # Where no process of the group is shown, those that there are are hidden (hidepid).
        b"a(){ k=0;e=$(kill -s 0 %b 2>&1)||k=1;"
        b'case $e in *"o such process"*)g;;esac;'
        b"n=$((n+1));[ $((n%%10)) -eq 3 ]||return 0;[ -r /proc/self/stat ]||return $k;"
        b"w=;for s in /proc/[0-9]*/stat;do { read -r l<$s;} 2>/dev/null||continue;"
        b'%b[ "$3" = %d ]||continue;w=1;[ "$1" = Z ]||return 0;done;'
        b'[ -z "$w" ];};'
        b"z(){ if sleep 0.05 2>/dev/null;then i=$((i+1));else sleep 1;i=$((i+20));fi;};"
        b"kill -s TERM %b 2>/dev/null;i=0;while [ $i -lt %d ]&&a;do z;done;"
        # Counted so that the second turn looks, and the last one too.
        b"kill -s KILL %b 2>/dev/null;i=0;n=1;"
        b"while a;do [ $i -lt 40 ]||{ n=2;a&&exit 1;g;};z;done;g"
    ) % (group, _SPLIT, pgid, group, turns, group)
