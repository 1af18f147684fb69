# Running the steps of the test suite and counting their tests. Sourced by tests/run.

passed=0 failed=0 skipped=0
step_number=0
declare -a summary=()

# count KIND LOG: sets counted_passed, counted_failed and counted_skipped from a runner's output.
count() {
    case $1 in
        # test result: ok. 12 passed; 0 failed; 1 ignored; …
        rust) read -r counted_passed counted_failed counted_skipped < <(awk '
            /^test result: / {
                for (i = 1; i < NF; i++) {
                    if ($(i + 1) == "passed;") p += $i
                    if ($(i + 1) == "failed;") f += $i
                    if ($(i + 1) == "ignored;") s += $i
                }
            }
            END { print p + 0, f + 0, s + 0 }' "$2") ;;
        # ok 1 - …, not ok 2 - …, ok 3 - … # SKIP why
        tap) read -r counted_passed counted_failed counted_skipped < <(awk '
            /^ok .*# [Ss][Kk][Ii][Pp]/ { s++; next }
            /^ok / { p++ }
            /^not ok / { f++ }
            END { print p + 0, f + 0, s + 0 }' "$2") ;;
        # --- PASS: TestName (0.00s), subtests indented; fuzz seeds and examples alike
        go) read -r counted_passed counted_failed counted_skipped < <(awk '
            /^ *--- PASS: / { p++ }
            /^ *--- FAIL: / { f++ }
            /^ *--- SKIP: / { s++ }
            END { print p + 0, f + 0, s + 0 }' "$2") ;;
    esac
}

# skips KIND LOG: the skipped tests, each with its reason where the runner gives one.
skips() {
    case $1 in
        rust) grep -E '^test .* ignored' "$2" ;;
        tap) grep -E '^ok .*# [Ss][Kk][Ii][Pp]' "$2" ;;
        go) grep -E -A 1 '^ *--- SKIP: ' "$2" ;;
    esac
}

# step NAME KIND SECONDS COMMAND…: runs a runner with a limit, keeps its output in build/logs, and
# prints it in full if anything in it failed. A runner that dies, or counts nothing, is a failure.
step() {
    local name=$1 kind=$2 limit=$3 log status=0 started=$SECONDS why=
    shift 3
    step_number=$((step_number + 1))
    log=$(printf 'build/logs/%02d-%s.log' "$step_number" "$name")
    echo "== $name"
    NSGATE_TEST_RUN=$run_id TMPDIR=$scratch timeout -k 10 "$limit" "$@" >"$log" 2>&1 </dev/null &
    step_pid=$!
    wait "$step_pid" || status=$?
    step_pid=
    count "$kind" "$log"
    if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
        why="stopped after $limit seconds"
    elif [ "$status" -ne 0 ] && [ "$counted_failed" -eq 0 ]; then
        why="died with status $status"
    elif [ $((counted_passed + counted_failed)) -eq 0 ]; then
        why="counted no test"
    elif [ "$counted_skipped" -ne 0 ] && [ "${NSGATE_REQUIRE_ROOT-}" = 1 ] && [ "$kind" != rust ]; then
        why="skipped tests although it runs as root"
    fi
    [ -n "$why" ] && counted_failed=$((counted_failed + 1))
    if [ "$counted_failed" -ne 0 ]; then
        echo "---- $log"
        cat "$log"
        echo "---- $name: ${why:-failed}"
    fi
    if [ "$counted_skipped" -ne 0 ]; then
        echo "skipped in $name:"
        skips "$kind" "$log"
    fi
    passed=$((passed + counted_passed))
    failed=$((failed + counted_failed))
    skipped=$((skipped + counted_skipped))
    summary+=("$(printf '%-28s %5d passed %3d failed %5d s%s' "$name" "$counted_passed" "$counted_failed" \
        $((SECONDS - started)) "${why:+  ($why)}")")
}
