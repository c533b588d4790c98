// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Declared are the names of methods that somebody has written down for an option, such as
// "replay". Without a check a name that is misspelt would do nothing, in silence.
type Declared struct {
	Option string
	Names  []string
}

// Problems says what is wrong with the names, a line for each in their order: methods that
// a plugin does not have, with the nearest that it has, and streams that are to be
// replayed. methods are all of the plugin's; true stands for a stream.
func (d Declared) Problems(methods map[string]bool) []string {
	var found []string
	for _, name := range d.Names {
		switch stream, known := methods[name]; {
		case !known:
			found = append(found, fmt.Sprintf("%s: there is no method %s%s", d.Option, name, suggest(name, methods)))
		case stream && d.Option == OptionReplay:
			found = append(found, fmt.Sprintf("%s: %s is a stream, which cannot be replayed", d.Option, name))
		}
	}
	return found
}

// OptionReplay is the Declared.Option of methods to which no stream may belong.
const OptionReplay = "replay"

// maxSuggested is the longest name that is compared with others.
const maxSuggested = 100

// suggest names the method that is nearest to a name, if one is near enough.
func suggest(name string, methods map[string]bool) string {
	best, least := "", max(2, len(name)/3)+1
	for _, method := range slices.Sorted(maps.Keys(methods)) {
		if len(name) > maxSuggested || len(method) > maxSuggested {
			continue
		}
		if n := distance(strings.ToLower(name), strings.ToLower(method)); n < least {
			best, least = method, n
		}
	}
	if best == "" {
		return ""
	}
	return ": did you mean " + best + "?"
}

// distance is how many letters have to be put in, left out or replaced to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
