"""System calls by name: what the lock refuses, and their numbers on each machine."""

from __future__ import annotations

from functools import cache


class Unsupported(Exception):
    """No table of system calls for this machine."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


LAST_KNOWN = 470
"""The highest number this table was written for (Linux 6.18)."""

DENIED = _names(
    """
    socket connect bind listen accept accept4
    fork vfork execve execveat
    ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp
    pidfd_open pidfd_getfd pidfd_send_signal tkill rt_sigqueueinfo rt_tgsigqueueinfo
    unshare setns mount umount2 pivot_root chroot open_tree open_tree_attr move_mount
    fsopen fsconfig fsmount fspick mount_setattr statmount listmount
    io_uring_setup io_uring_enter io_uring_register io_setup userfaultfd perf_event_open bpf seccomp
    keyctl add_key request_key
    shmget shmat shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl
    mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr memfd_create memfd_secret
    setrlimit setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid capset
    mknod mknodat file_setattr lsm_set_self_attr
    kexec_load kexec_file_load init_module finit_module delete_module reboot swapon swapoff syslog acct
    clock_settime settimeofday adjtimex clock_adjtime sethostname setdomainname quotactl quotactl_fd
    iopl ioperm modify_ldt personality vhangup nfsservctl uselib _sysctl ustat sysfs
    name_to_handle_at open_by_handle_at lookup_dcookie
    fanotify_init fanotify_mark inotify_init inotify_init1 inotify_add_watch
    move_pages migrate_pages set_mempolicy set_mempolicy_home_node setsid setpgid
    """
)

HARMLESS = _names(
    """
    chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat
    """
)
"""Answered "done" and not done: Landlock does not cover them, and an honest shutil.copy2 makes them."""

UNSUPPORTED = _names(
    """
    setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat
    """
)
"""Answered "this file system can't", which Python's own copying passes over."""

# name, number on x86_64, number on aarch64 ("-": it has none)
_NUMBERS = """
    _sysctl 156 -; accept 43 202; accept4 288 242; acct 163 89; add_key 248 217; adjtimex 159 171
    bind 49 200; bpf 321 280; capset 126 91; chmod 90 -; chown 92 -; chroot 161 51; clock_adjtime 305 266
    clock_settime 227 112; clone 56 220; clone3 435 435; connect 42 203; delete_module 176 106
    execve 59 221; execveat 322 281; fanotify_init 300 262; fanotify_mark 301 263; fchmod 91 52
    fchmodat 268 53; fchmodat2 452 452; fchown 93 55; fchownat 260 54; fcntl 72 25; file_setattr 469 469
    finit_module 313 273; fork 57 -; fremovexattr 199 16; fsconfig 431 431; fsetxattr 190 7; fsmount 432 432
    fsopen 430 430; fspick 433 433; futimesat 261 -; init_module 175 105; inotify_add_watch 254 27
    inotify_init 253 -; inotify_init1 294 26; io_setup 206 0; io_uring_enter 426 426
    io_uring_register 427 427; io_uring_setup 425 425; ioctl 16 29; ioperm 173 -; iopl 172 -
    ioprio_set 251 30; kcmp 312 272; kexec_file_load 320 294; kexec_load 246 104; keyctl 250 219
    kill 62 129; lchown 94 -; listen 50 201; listmount 458 458; lookup_dcookie 212 18; lremovexattr 198 15
    lsetxattr 189 6; lsm_set_self_attr 460 460; memfd_create 319 279; memfd_secret 447 447
    migrate_pages 256 238; mknod 133 -; mknodat 259 33; mmap 9 222; modify_ldt 154 -; mount 165 40
    mount_setattr 442 442; move_mount 429 429; move_pages 279 239; mq_getsetattr 245 185; mq_notify 244 184
    mq_open 240 180; mq_timedreceive 243 183; mq_timedsend 242 182; mq_unlink 241 181; msgctl 71 187
    msgget 68 186; msgrcv 70 188; msgsnd 69 189; name_to_handle_at 303 264; nfsservctl 180 42
    open_by_handle_at 304 265; open_tree 428 428; open_tree_attr 467 467; perf_event_open 298 241
    personality 135 92; pidfd_getfd 438 438; pidfd_open 434 434; pidfd_send_signal 424 424
    pivot_root 155 41; prctl 157 167; prlimit64 302 261; process_madvise 440 440; process_mrelease 448 448
    process_vm_readv 310 270; process_vm_writev 311 271; ptrace 101 117; quotactl 179 60
    quotactl_fd 443 443; reboot 169 142; removexattr 197 14; removexattrat 466 466; request_key 249 218
    rt_sigqueueinfo 129 138; rt_tgsigqueueinfo 297 240; sched_setaffinity 203 122; sched_setattr 314 274
    sched_setparam 142 118; sched_setscheduler 144 119; seccomp 317 277; semctl 66 191; semget 64 190
    semop 65 193; semtimedop 220 192; set_mempolicy 238 237; set_mempolicy_home_node 450 450
    setdomainname 171 162; setfsgid 123 152; setfsuid 122 151; setgid 106 144; setgroups 116 159
    sethostname 170 161; setns 308 268; setpgid 109 154; setpriority 141 140; setregid 114 143
    setresgid 119 149; setresuid 117 147; setreuid 113 145; setrlimit 160 164; setsid 112 157
    settimeofday 164 170; setuid 105 146; setxattr 188 5; setxattrat 463 463; shmat 30 196; shmctl 31 195
    shmget 29 194; socket 41 198; socketpair 53 199; statmount 457 457; swapoff 168 225; swapon 167 224
    sysfs 139 -; syslog 103 116; tgkill 234 131; tkill 200 130; umount2 166 39; unshare 272 97; uselib 134 -
    userfaultfd 323 282; ustat 136 -; utime 132 -; utimensat 280 88; utimes 235 -; vfork 58 -
    vhangup 153 58
"""


_COLUMNS = {"x86_64": 1, "aarch64": 2}


@cache
def numbers(machine: str) -> dict[str, int]:
    """Numbers by name.

    Args:
        machine: as `platform.machine()` names it.

    Raises:
        Unsupported: there is no table for it.
    """
    if machine not in _COLUMNS:
        raise Unsupported(f"no table of system calls for {machine} (there is one for {', '.join(_COLUMNS)})")
    rows = [row.split() for row in _NUMBERS.replace("\n", ";").split(";") if row.strip()]
    column = _COLUMNS[machine]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}
