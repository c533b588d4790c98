// SPDX-License-Identifier: MPL-2.0

package read

import (
	"strings"
	"unicode"
)

// snake gives the name of a field as messages spell it: userID becomes user_id.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		upper := unicode.IsUpper(r)
		if upper && i > 0 && runes[i-1] != '_' {
			before := unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1])
			last := i+1 < len(runes) && unicode.IsLower(runes[i+1]) && unicode.IsUpper(runes[i-1])
			if before || last {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// title gives a name with a capital first.
func title(name string) string {
	for i, r := range name {
		return string(unicode.ToUpper(r)) + name[i+len(string(r)):]
	}
	return name
}

// portable reports whether protocol buffers can spell a name.
func portable(name string) bool {
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return strings.Trim(name, "_") != ""
}
