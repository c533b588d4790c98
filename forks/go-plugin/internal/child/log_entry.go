// SPDX-License-Identifier: MPL-2.0

package child

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/printable"
)

// logEntry is one line that hclog wrote as JSON.
type logEntry struct {
	level   hclog.Level
	message string
	args    []any
}

// parseLogEntry reads an hclog entry. JSON of some other program is no entry:
// it is logged as it stands. Numbers keep the digits that the plugin wrote, and
// a field that is there twice stays there twice.
func parseLogEntry(line []byte) (logEntry, bool) {
	var fields []member
	if !eachMember(line, func(m member) bool { fields = append(fields, m); return true }) {
		return logEntry{}, false
	}
	slices.SortStableFunc(fields, func(a, b member) int { return strings.Compare(a.name, b.name) })
	var entry logEntry
	var stamp any
	for _, field := range fields {
		switch field.name {
		case "@level":
			entry.level = entryLevel(field.value)
		case "@message":
			entry.message = entryText(field)
		case "@timestamp":
			stamp = field.value
		default:
			entry.args = append(entry.args, printable.Line(field.name), shown(field.value))
		}
	}
	if stamp != nil {
		entry.args = append(entry.args, "timestamp", entryTime(stamp))
	}
	return entry, entry.level != hclog.NoLevel
}

// entryLevel is NoLevel for what no logger would log at.
func entryLevel(value any) hclog.Level {
	name, _ := value.(string)
	if level := hclog.LevelFromString(name); level != hclog.Off {
		return level
	}
	return hclog.NoLevel
}

// entryText is a message, which some programs write as other JSON than a string.
func entryText(field member) string {
	switch value := field.value.(type) {
	case nil:
		return ""
	case string:
		return printable.Text(value)
	}
	return printable.Text(field.raw)
}

// entryTime writes a time as hclog shows it, and leaves what is none as it is.
func entryTime(stamp any) any {
	text, _ := stamp.(string)
	for _, layout := range []string{time.RFC3339Nano, hclog.TimeFormat} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.Format(hclog.TimeFormat)
		}
	}
	return shown(stamp)
}

// shown is a value with its texts fit to be printed.
func shown(value any) any {
	switch value := value.(type) {
	case string:
		return printable.Text(value)
	case []any:
		for i := range value {
			value[i] = shown(value[i])
		}
	case map[string]any:
		clean := make(map[string]any, len(value))
		for name, element := range value {
			clean[printable.Line(name)] = shown(element)
		}
		return clean
	}
	return value
}

// member is one member of a JSON object.
type member struct {
	name  string
	value any    // a number is a json.Number
	raw   string // the value as it stands in the line
}

// eachMember gives the members of a JSON object in their order, until visit returns
// false. It reports whether the line is one whole object and nothing else.
func eachMember(line []byte, visit func(member) bool) bool {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return false
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return false
		}
		var m member
		m.name, _ = token.(string) // the decoder takes nothing else
		from := d.InputOffset()
		if d.Decode(&m.value) != nil {
			return false
		}
		m.raw = strings.TrimLeft(string(line[from:d.InputOffset()]), ": \t\r\n")
		if !visit(m) {
			return false
		}
	}
	_, err := d.Token()
	_, end := d.Token()
	return err == nil && errors.Is(end, io.EOF)
}

// levelOfStart is the level of an entry of which only the beginning is there.
// hclog writes @level among the first members.
func levelOfStart(start []byte) (level hclog.Level) {
	eachMember(start, func(m member) bool {
		if m.name == "@level" {
			level = entryLevel(m.value)
		}
		return m.name != "@level"
	})
	return level
}
