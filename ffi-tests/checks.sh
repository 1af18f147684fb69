# Checks of the header, of the layout of its structs and of the exported names. Sourced by run.

check_header() {
    local compiler standard
    printf '#include "nsgate.h"\n#include "nsgate.h"\nint main(void) { return (int)NSGATE_STR("").length; }\n' >"$out/header.c"
    cp "$out/header.c" "$out/header.cc"
    for standard in c99 c11 c17; do
        holds "the header alone is strict $standard" cc -std=$standard -Wall -Wextra -Wpedantic -Werror \
            -Wstrict-prototypes -Wconversion -I"${header%/*}" -fsyntax-only "$out/header.c"
    done
    for standard in c++11 c++17 c++20; do
        holds "the header alone is strict $standard" c++ -std=$standard -Wall -Wextra -Wpedantic -Werror \
            -Wconversion -I"${header%/*}" -fsyntax-only "$out/header.cc"
    done
    holds "a C++17 program links and runs" cpp_program
    holds "the header is the one that was committed" is_committed
    holds "every function and type of the header has a doc" documented
}

cpp_program() {
    c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -I"${header%/*}" program.cc -o "$out/program" \
        -L"$lib" -lnsgate -Wl,-rpath,"$lib" && "$out/program"
}

# build.rs has just written it if it was stale; then it differs from what git has.
is_committed() {
    git -C "${header%/*}" rev-parse --git-dir >/dev/null 2>&1 || return 0
    git -C "${header%/*}" -c safe.directory='*' diff --stat --exit-code -- nsgate.h
}

# A prototype, struct, function type or constant right after a line that ends no comment.
documented() {
    ! awk '
        /^(nsgate_status|const char \*|NSGATE_MUST_USE|typedef)/ && last !~ /\*\/$/ && last != "NSGATE_MUST_USE" { print; bad = 1 }
        /^#define NSGATE_[A-Z_]+ [0-9]/ && last !~ /\*\/$/ && $2 !~ /VERSION/ { print; bad = 1 }
        { last = $0 }
        END { exit !bad }' "$header"
}

# The sizes of all structs and the offsets of their fields, by a program made from the header.
check_layout() {
    awk -f layout.awk "$header" >"$out/layout.c"
    holds "the layout program builds" cc -I"${header%/*}" "$out/layout.c" -o "$out/layout" || return
    "$out/layout" >"$out/layout.txt"
    holds "sizes and offsets are those of ffi-tests/layout.txt" diff -u layout.txt "$out/layout.txt"
}

check_symbols() {
    nm -D --defined-only "$lib/libnsgate.so" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort >"$out/exported"
    holds "the shared library exports what ffi-tests/symbols.txt lists, and nothing else" \
        diff -u symbols.txt "$out/exported"
    cut -d'|' -f2 "$out/prototypes" | sort >"$out/declared"
    holds "that is what the header declares" diff -u symbols.txt "$out/declared"
    nm --defined-only "$lib/libnsgate.a" 2>/dev/null | awk '$2 == "T" && $3 ~ /^nsgate_/ { print $3 }' | sort -u >"$out/archived"
    holds "the static library has the same" diff -u symbols.txt "$out/archived"
}

check_unload() {
    holds "the program that loads and unloads is strict" cc "${strict[@]}" -I"${header%/*}" unload.c -o "$out/unload" -ldl
    holds "the library may be closed (dlclose) while it is at work" timeout 120 "$out/unload" "$lib/libnsgate.so"
}

# What "make install" puts into a directory is all that a program needs, shared and static.
check_install() {
    local prefix=$scratch/install
    holds "make install" make -C .. -o lib install PREFIX="$prefix"
    holds "make install with DESTDIR and LIBDIR" make -C .. -o lib install PREFIX=/opt LIBDIR=/opt/lib64 DESTDIR="$scratch/package"
    holds "that is the same elsewhere" diff <(tree "$scratch/package/opt") <(tree "$prefix" | sed 's,^lib,&64,')
    holds "nsgate.pc says where it will be" test "$(by_pc package/opt/lib64 --variable=libdir)" = /opt/lib64
    holds "and which version it is" test "$(by_pc package/opt/lib64 --modversion)" = \
        "$(sed -n 's/^#define NSGATE_VERSION "\(.*\)"/\1/p' "$header")"
    # shellcheck disable=SC2046 # words
    holds "a program links by nsgate.pc" c++ -std=c++17 program.cc -o "$out/installed-shared" \
        $(by_pc install/lib --cflags --libs)
    holds "it needs the library by its soname" needs_soname "$out/installed-shared" "$prefix"
    holds "and runs" env LD_LIBRARY_PATH="$prefix/lib" "$out/installed-shared"
    # shellcheck disable=SC2046 # words
    holds "a static program links by nsgate.pc" c++ -std=c++17 -static program.cc -o "$out/installed-static" \
        $(by_pc install/lib --static --cflags --libs)
    holds "and runs alone" "$out/installed-static"
}

# Every file and link, by its name and where that leads.
tree() { (cd "$1" && find . ! -type d -printf '%P %l\n' | sort); }

# by_pc DIRECTORY OPTION…: what pkg-config answers by that library directory's nsgate.pc.
by_pc() {
    local directory=$scratch/$1
    shift
    PKG_CONFIG_PATH=$directory/pkgconfig pkg-config "$@" nsgate
}

needs_soname() {
    local soname
    soname=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(libnsgate.*\)\]/\1/p')
    [[ $soname == libnsgate.so.[0-9]* ]] && [ -e "$2/lib/$soname" ]
}

# The examples are strict C99 and do what they say; both end with a status that tells.
check_examples() {
    local name
    for name in enter_restore sandbox_map; do
        holds "the example $name is strict C99" cc -std=c99 -Wall -Wextra -Werror -pedantic -I"${header%/*}" \
            "../examples/c/$name.c" -o "$out/example-$name" "${shared[@]}"
    done
    holds "the example enter_restore comes back to where it was" "$out/example-enter_restore"
    holds "the example sandbox_map releases all chroots, while one hangs for 100 ms" "$out/example-sandbox_map" 100
}

# A few rounds, and the lines that benches/table.awk expects.
check_bench() {
    holds "the benchmark is strict C99" cc -std=c99 -O1 -Wall -Wextra -Werror -pedantic -I"${header%/*}" \
        ../benches/c/main.c -o "$out/bench" "${shared[@]}" -lpthread
    holds "the benchmark prints lines for the table" bench_lines
}

bench_lines() {
    "$out/bench" 3 | tee "$out/bench.tsv" | awk -F '\t' '
        $1 != "C" || NF != 9 || $3 !~ /^-?[0-9.]+$/ || $6 !~ /^[0-9.]+$/ { bad = 1; print }
        END { exit bad || NR != 2 }' && awk -f ../benches/table.awk "$out/bench.tsv"
}

is_sanitized() {
    nm "$1" >"$1.nm"
    grep -q ' [TUw] __asan_init' "$1.nm" && grep -q ' [TUw] __ubsan_handle_' "$1.nm"
}
