// SPDX-License-Identifier: MPL-2.0

package docs

import (
	"fmt"
	"regexp"
	"strings"
)

// varying is what differs from run to run: times with their unit, dates with a time of
// day, and process ids.
var varying = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:?\d\d)\b`), "<date>"},
	{regexp.MustCompile(`\b(\d+(\.\d+)?(ns|µs|ms|s|m|h))+\b`), "<time>"},
	{regexp.MustCompile(`(?i)\b(pid"?[:= ]*)\d+`), "$1<pid>"},
}

// same makes a line into what is equal in every run. Blanks count as one, since the
// width of a column depends on a time.
func same(line string) string {
	for _, v := range varying {
		line = v.what.ReplaceAllString(line, v.as)
	}
	return strings.Join(strings.Fields(line), " ")
}

// matches tells whether a line of the page stands for a printed one: "…" for any text.
func matches(page, printed string) bool {
	parts := strings.Split(same(page), "…")
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + "$").MatchString(same(printed))
}

// compare holds that all of stdout is on the page, and in this order; lines of stderr may
// be. A line "…" stands for any number of lines.
func compare(page, stdout, stderr string) error {
	out, log := lines(stdout), lines(stderr)
	for i, want := range lines(page) {
		if want == "…" {
			rest := lines(page)[i+1:]
			for len(out) > 0 && (len(rest) == 0 || !matches(rest[0], out[0])) {
				out = out[1:]
			}
			continue
		}
		if len(out) > 0 && matches(want, out[0]) {
			out = out[1:]
			continue
		}
		at := 0
		for at < len(log) && !matches(want, log[at]) {
			at++
		}
		if at == len(log) {
			next := "nothing more"
			if len(out) > 0 {
				next = fmt.Sprintf("%q", out[0])
			}
			return fmt.Errorf("the page has the line %q, and what was printed there is %s", want, next)
		}
		log = log[at+1:]
	}
	if len(out) > 0 {
		return fmt.Errorf("the page lacks the line %q", out[0])
	}
	return nil
}

func lines(text string) []string {
	if text = strings.TrimRight(text, "\n"); text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
