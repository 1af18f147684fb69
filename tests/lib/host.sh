# What the suite must leave as it found it: mounts, limits, the shell's descriptors, no process.
# Sourced by tests/run; prints TAP. Other programs on the machine may come and go meanwhile.

# Mount points that services of an ordinary machine make by themselves.
unrelated_mounts='^(/run/user|/run/docker|/run/containerd|/run/snapd|/run/netns|/var/lib/docker|/var/lib/containerd|/var/lib/containers|/snap|/media|/proc/sys/fs/binfmt_misc|/run/credentials)(/|$)'

host_mounts() {
    # Without the ids; sorted, because an unrelated mount may move the rest.
    awk -v unrelated="$unrelated_mounts" '$5 !~ unrelated { $1 = $2 = ""; print }' "/proc/$$/mountinfo" | sort
}

host_limits() {
    local name
    for name in fs/file-max fs/nr_open fs/mount-max fs/pipe-max-size fs/suid_dumpable fs/protected_symlinks \
        fs/protected_hardlinks fs/inotify/max_user_watches kernel/threads-max kernel/pid_max kernel/core_pattern \
        kernel/yama/ptrace_scope kernel/unprivileged_userns_clone user/max_mnt_namespaces \
        user/max_user_namespaces vm/max_map_count; do
        [ -r "/proc/sys/$name" ] && echo "$name $(<"/proc/sys/$name")"
    done
    ulimit -a -S
    ulimit -a -H
}

host_descriptors() {
    # A plain command: a pipeline would show its own pipes in the shell.
    ls -l "/proc/$$/fd" >"$state/descriptors.list"
    awk -v state="$state" 'NF > 8 && !index($0, state) { print $9, $10, $11 }' "$state/descriptors.list"
}

# Processes that carry the mark of this run. The shell itself does not: only its runners get it.
left_processes() {
    local environ pid
    grep -lsazF "NSGATE_TEST_RUN=$run_id" /proc/[0-9]*/environ 2>/dev/null | while read -r environ; do
        pid=${environ#/proc/}
        pid=${pid%/environ}
        case $(cat "/proc/$pid/comm" 2>/dev/null) in
            '' | sccache | ccache) ;; # gone already; a compiler cache that stays on purpose
            *) [ "$(awk '/^State:/ { print $2 }' "/proc/$pid/status" 2>/dev/null)" != Z ] && echo "$pid" ;;
        esac
    done
}

host_remember() {
    host_mounts >"$state/mounts.before"
    host_limits >"$state/limits.before"
    host_descriptors >"$state/descriptors.before"
}

host_compare() {
    local what number=0 tries pids pid
    for tries in {1..50}; do
        pids=$(left_processes)
        [ -z "$pids" ] && break
        sleep 0.2
    done
    if [ -z "$pids" ]; then
        echo "ok 1 - no process of the tests is left"
    else
        echo "not ok 1 - no process of the tests is left"
        for pid in $pids; do
            echo "# $pid $(cat "/proc/$pid/comm" 2>/dev/null): $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
            kill -KILL "$pid" 2>/dev/null
        done
    fi
    number=1
    for what in mounts limits descriptors; do
        number=$((number + 1))
        "host_$what" >"$state/$what.after"
        if diff "$state/$what.before" "$state/$what.after" >"$state/$what.diff"; then
            echo "ok $number - the host's $what are as before"
        else
            echo "not ok $number - the host's $what are as before"
            sed 's/^/# /' "$state/$what.diff"
        fi
    done
    echo "1..$number"
}
