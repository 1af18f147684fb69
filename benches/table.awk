# Turns the lines of the measurements into a table. A line is, separated by tabs:
# language, work, median, p99, against, median, p99, sort of goal, goal; times in nanoseconds.

BEGIN {
    FS = "\t"
    add("", "work", "median", "p99", "against", "median", "p99", "ratio", "goal", "")
}

{
    ours = $3; theirs = $6; ratio = goal = verdict = ""
    if ($5 != "-")
        ratio = ours <= theirs ? sprintf("%sx faster", short(theirs / ours)) \
                               : sprintf("%.2fx as long", ours / theirs)
    if ($8 == "at-most") {
        ratio = sprintf("%.2fx as long", ours / theirs)
        goal = sprintf("<= %.2fx", $9)
        verdict = ours / theirs <= $9 ? "ok" : "MISSED"
    } else if ($8 == "faster") {
        goal = $9 == 1 ? "faster" : sprintf(">= %gx faster", $9)
        # Where both do the same system calls the clock decides: 3 % either way is even.
        verdict = theirs / ours >= $9 ? "ok" : theirs / ours >= $9 * 0.97 ? "even" : "MISSED"
    } else if ($8 == "within") {
        goal = "<= " time($6)
        theirs = "NaN"; ratio = ""; $5 = "-"
        verdict = ours <= $6 ? "ok" : "MISSED"
    }
    missed += verdict == "MISSED"
    work = $2
    if ($1 == language && work == last)
        add("", "", "", "", $5, time(theirs), time($7), ratio, goal, verdict)
    else
        add($1, work, time(ours), time($4), $5, time(theirs), time($7), ratio, goal, verdict)
    language = $1; last = work
}

END {
    for (row = 1; row <= rows; row++) {
        text = ""
        for (column = 1; column <= 10; column++) {
            left = column == 1 || column == 2 || column == 5 || column >= 8
            text = text sprintf(left ? "%-*s" : "%*s", width[column], cell[row, column]) "  "
        }
        sub(/ +$/, "", text)
        print text
        if (row == 1) {
            gsub(/./, "-", text)
            print text
        }
    }
    print ""
    print missed ? missed " of the goals missed in this run" : "every goal reached in this run"
}

function add(c1, c2, c3, c4, c5, c6, c7, c8, c9, c10) {
    rows++
    put(1, c1); put(2, c2); put(3, c3); put(4, c4); put(5, c5)
    put(6, c6); put(7, c7); put(8, c8); put(9, c9); put(10, c10)
}

function put(column, text) {
    cell[rows, column] = text
    if (length(text) > width[column])
        width[column] = length(text)
}

function time(ns) {
    if (ns == "NaN" || ns == "") return ""
    if (ns < 1e3) return sprintf("%.0f ns", ns)
    if (ns < 1e5) return sprintf("%.1f us", ns / 1e3)
    if (ns < 1e6) return sprintf("%.0f us", ns / 1e3)
    if (ns < 1e8) return sprintf("%.1f ms", ns / 1e6)
    return sprintf("%.0f ms", ns / 1e6)
}

function short(times) { return times < 10 ? sprintf("%.2f", times) : sprintf("%.0f", times) }
