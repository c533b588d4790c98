// SPDX-License-Identifier: MPL-2.0

package child_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/child"
)

// forwarded gives what a host logs of a child's stderr, and the copy of it.
func forwarded(t *testing.T, stderr string, limit int, asJSON bool) (log, copied string) {
	t.Helper()
	var out, raw bytes.Buffer
	logger := hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Trace, DisableTime: true, JSONFormat: asJSON})
	child.ForwardLog(logger, strings.NewReader(stderr), &raw, limit)
	return out.String(), raw.String()
}

func TestChildLogLines(t *testing.T) {
	cases := map[string]struct{ line, want string }{
		"number":          {`{"@level":"info","@message":"m","n":1234567890123456789}`, "[INFO]  m: n=1234567890123456789"},
		"unsigned":        {`{"@level":"info","@message":"m","n":18446744073709551615}`, "[INFO]  m: n=18446744073709551615"},
		"beyond 64 bits":  {`{"@level":"info","@message":"m","n":123456789012345678901234567890}`, "[INFO]  m: n=123456789012345678901234567890"},
		"fraction":        {`{"@level":"info","@message":"m","n":0.10}`, "[INFO]  m: n=0.10"},
		"nested":          {`{"@level":"info","@message":"m","o":{"a":{"b":9007199254740993}},"s":[9007199254740993]}`, "[INFO]  m: o=map[a:map[b:9007199254740993]] s=[9007199254740993]"},
		"twice":           {`{"@level":"info","@message":"m","a":1,"a":2}`, "[INFO]  m: a=1 a=2"},
		"no microseconds": {`{"@level":"info","@message":"m","@timestamp":"2026-01-02T03:04:05Z"}`, "[INFO]  m: timestamp=2026-01-02T03:04:05.000Z"},
		"hclog's own":     {`{"@level":"info","@message":"m","@timestamp":"2026-01-02T03:04:05.123456Z"}`, "[INFO]  m: timestamp=2026-01-02T03:04:05.123Z"},
		"nanoseconds":     {`{"@level":"info","@message":"m","@timestamp":"2026-01-02T03:04:05.123456789+02:00"}`, `[INFO]  m: timestamp="2026-01-02T03:04:05.123+0200"`},
		"zone unpunctual": {`{"@level":"info","@message":"m","@timestamp":"2026-01-02T03:04:05.123-0700"}`, "[INFO]  m: timestamp=2026-01-02T03:04:05.123-0700"},
		"no zone":         {`{"@level":"info","@message":"m","@timestamp":"2026-01-02T03:04:05"}`, "[INFO]  m: timestamp=2026-01-02T03:04:05"},
		"seconds":         {`{"@level":"info","@message":"m","@timestamp":1767323045}`, "[INFO]  m: timestamp=1767323045"},
		"object":          {`{"@level":"warn","@message":{"a": 1}}`, `[WARN]  {"a": 1}`},
		"list":            {`{"@level":"warn","@message":[1,2]}`, `[WARN]  [1,2]`},
		"number as text":  {`{"@level":"warn","@message":9007199254740993}`, `[WARN]  9007199254740993`},
		"no message":      {`{"@level":"warn","a":true}`, `[WARN]  : a=true`},
		"upper case":      {`{"@level":"ERROR","@message":"m"}`, "[ERROR] m"},
		"off":             {`{"@level":"off","@message":"m"}`, `[DEBUG] {"@level":"off","@message":"m"}`},
		"unknown":         {`{"@level":"loud","@message":"m"}`, `[DEBUG] {"@level":"loud","@message":"m"}`},
		"level a number":  {`{"@level":3,"@message":"m"}`, `[DEBUG] {"@level":3,"@message":"m"}`},
		"level missing":   {`{"@message":"m"}`, `[DEBUG] {"@message":"m"}`},
		"more behind":     {`{"@level":"warn"} {}`, `[DEBUG] {"@level":"warn"} {}`},
		"prefix":          {"[ERROR] it broke", "[ERROR] [ERROR] it broke"},
		"crash":           {"panic: boom\n\ngoroutine 1 [running]:", "[ERROR] panic: boom\n[ERROR]\n[ERROR] goroutine 1 [running]:"},
		"CRLF":            {"[WARN] dos\r\n{\"@level\":\"info\",\"@message\":\"m\"}", "[WARN]  [WARN] dos\n[INFO]  m"},
		"terminal":        {`{"@level":"info","@message":"\u001b[2J\u009b\u202egnp\u007f","f":"a\n\u001bb","\u001b":["\u0007"]}` + "\nraw \x1b\xff\u200b", "[INFO]  \\x1b[2J\\u009b\\u202egnp\\x7f: \\x1b=[\\x07]\n  f=\n  | a\n  | \\x1bb\n  \n[DEBUG] raw \\x1b\\xff\\u200b"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for _, end := range []string{"\n", ""} { // the last line need not end
				got, copied := forwarded(t, tc.line+end, 64<<10, false)
				if got = trimmedLines(got); got != tc.want {
					t.Errorf("got  %q\nwant %q", got, tc.want)
				}
				if plain := strings.ReplaceAll(tc.line, "\r", ""); copied != plain+"\n" {
					t.Errorf("the copy is %q", copied)
				}
			}
		})
	}
}

// trimmedLines takes the blanks and the last line feed away that hclog ends lines with.
func trimmedLines(s string) string {
	s = strings.TrimSuffix(s, "\n")
	lines := strings.Split(s, "\n")
	for i := range lines {
		if lines[i] != "  " {
			lines[i] = strings.TrimRight(lines[i], " ")
		}
	}
	return strings.Join(lines, "\n")
}

func TestChildLogNumbersInJSON(t *testing.T) {
	got, _ := forwarded(t, `{"@level":"info","@message":"m","n":1234567890123456789,"o":{"u":18446744073709551615}}`, 64<<10, true)
	for _, want := range []string{`"n":1234567890123456789`, `"u":18446744073709551615`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
}

// TestChildLogLongLines holds that a line keeps its level and all of its text
// when it is longer than the buffer, and is one record up to that.
func TestChildLogLongLines(t *testing.T) {
	const limit = 1 << 10
	entry := func(size int) string {
		const frame = `{"@level":"error","@message":""}`
		return frame[:len(frame)-2] + strings.Repeat("x", size-len(frame)) + frame[len(frame)-2:]
	}
	for _, size := range []int{limit - 1, limit} {
		if got, _ := forwarded(t, entry(size)+"\r\n"+entry(size), limit, false); strings.Count(got, "[ERROR] xxx") != 2 || strings.Contains(got, "@level") {
			t.Errorf("%d bytes are not one entry: %.60s", size, got)
		}
	}
	long := map[string]struct{ line, level string }{
		"entry":           {entry(70 << 10), "[ERROR]"},
		"one too many":    {entry(limit + 3), "[ERROR]"},
		"level is behind": {`{"@caller":"main.go:1","@level":"warn","@message":"` + strings.Repeat("好", limit) + `"}`, "[WARN] "},
		"prefix":          {"[WARN] " + strings.Repeat("é", 3*limit), "[WARN] "},
		"plain":           {strings.Repeat("plain ", limit), "[DEBUG]"},
		"crash":           {"panic: " + strings.Repeat("x", 2*limit), "[ERROR]"},
		"no UTF-8":        {"[INFO] " + strings.Repeat("\xff", 2*limit), "[INFO] "},
	}
	for name, tc := range long {
		t.Run(name, func(t *testing.T) {
			got, copied := forwarded(t, tc.line+"\n[INFO] next\n", limit, false)
			records := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
			var text strings.Builder
			for i, record := range records[:len(records)-1] {
				end := fmt.Sprintf(": piece=%d", i+1)
				if !strings.HasPrefix(record, tc.level+" ") || !strings.HasSuffix(record, end) {
					t.Fatalf("piece %d: %.40s … %s", i+1, record, record[max(0, len(record)-20):])
				}
				text.WriteString(record[len(tc.level)+1 : len(record)-len(end)])
			}
			if want := strings.ReplaceAll(tc.line, "\xff", `\xff`); text.String() != want {
				t.Errorf("the pieces are %d bytes of %d", text.Len(), len(want))
			}
			if last := records[len(records)-1]; !strings.HasPrefix(last, "[INFO]  [INFO] next") && name != "crash" {
				t.Errorf("the line behind it: %s", last)
			}
			if copied != tc.line+"\n[INFO] next\n" {
				t.Error("the copy differs")
			}
		})
	}
}

func FuzzChildLog(f *testing.F) {
	for _, seed := range []string{`{"@level":"info","@message":"m","@timestamp":"x","n":1e999}`, "[ERROR] \x1b", "panic: \n", `{"@level":"error","@message":{"a":[`} {
		f.Add(seed, 16)
	}
	f.Fuzz(func(t *testing.T, stderr string, limit int) {
		out, _ := forwarded(t, stderr, 1+limit&0xff, false)
		if strings.ContainsAny(out, "\x1b\a\x7f\u009b\u202e\u200b\u2028") || strings.Contains(out, "[?????]") {
			t.Errorf("%q", out)
		}
	})
}
