// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/go-plugin/printable"
	"go.yaml.in/yaml/v3"

	"github.com/reattach/reattach/host/cli/kube"
	"github.com/reattach/reattach/host/discovery/static"
)

// FuzzProblem is a server that answers a call with anything but its result.
func FuzzProblem(f *testing.F) {
	for _, body := range []string{
		`{"type":"urn:reattach:plugin-error","title":"The plugin answered with an error","status":500,"detail":"no","source":"plugin"}`,
		`{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"64 calls"}`,
		`{"title":"Überlast","detail":"\u001b[2J"}`, `<html>`, `{"title":7}`, `{"title":""}`, ``,
	} {
		f.Add(500, body)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		err := refused(&http.Response{StatusCode: status, Status: body, Body: io.NopCloser(strings.NewReader(body))})
		failed, ok := errors.AsType[*failure](err)
		if !ok || !slices.Contains([]int{exitFailed, exitUsage, exitUnreachable}, failed.code) {
			t.Fatalf("no exit code: %v", err)
		}
		shown := told(err)
		if len(shown) > maxError+len("… (cut)") || printable.Text(shown) != shown {
			t.Fatalf("not fit to be shown: %q", shown)
		}
		var p struct{ Title, Detail, Source string }
		if json.Unmarshal([]byte(body), &p) != nil || p.Title == "" {
			if failed.code != exitUnreachable {
				t.Fatalf("what is no daemon is taken for one: %v", err)
			}
			return
		}
		// The beginning of the title is changed, and nothing else of either text.
		if !strings.HasSuffix(err.Error(), p.Detail) || p.Source != "plugin" && !strings.EqualFold(err.Error(), p.Title+": "+p.Detail) {
			t.Fatalf("%q became %q", body, err)
		}
	})
}

// FuzzEvents is a server that streams anything, in pieces of any size.
func FuzzEvents(f *testing.F) {
	for _, stream := range []string{
		"event: plugins\ndata: {\"plugins\":[]}\n\nevent: change\ndata: {}\n\n: alive\n\n",
		"event: plugins\r\n", "event: unended", "data: event: no\n", strings.Repeat("x", 5000) + "event: no\nevent: yes\n", "event: " + strings.Repeat("y", 9000) + "\n",
	} {
		f.Add(stream, false)
		f.Add(stream, true)
	}
	f.Fuzz(func(t *testing.T, stream string, slowly bool) {
		want := 0
		for line := range strings.SplitSeq(stream, "\n") {
			if strings.HasPrefix(line, "event: ") {
				want++
			}
		}
		var from io.Reader = strings.NewReader(stream)
		if slowly {
			from = iotest.OneByteReader(from)
		}
		events := newEventReader(from)
		got := 0
		err := events.next()
		for ; err == nil; err = events.next() {
			got++
		}
		if !errors.Is(err, io.EOF) || got != want {
			t.Fatalf("%d events of %d, %v", got, want, err)
		}
	})
}

// FuzzHealth is whatever listens at BASIC_LISTEN.
func FuzzHealth(f *testing.F) {
	for _, body := range []string{`{"status":"ok"}` + "\n", `{"status":"ok"} <html>`, `{"status":"down"}`, `"ok"`, `{"status":{}}`, strings.Repeat(" ", 1<<10) + `{"status":"ok"}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		endless := io.MultiReader(strings.NewReader(body), blanks{})
		if !saysHealthy(endless) {
			return
		}
		var first map[string]any
		if err := json.NewDecoder(strings.NewReader(body)).Decode(&first); err != nil {
			t.Fatalf("%q is taken for a daemon: %v", body, err)
		}
		for name, value := range first {
			if strings.EqualFold(name, "status") && value == "ok" {
				return
			}
		}
		t.Fatalf("%q is taken for a daemon", body)
	})
}

// blanks never ends.
type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// FuzzPluginList is a daemon that says anything of its plugins.
func FuzzPluginList(f *testing.F) {
	sample, err := json.Marshal(sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sample)
	f.Add([]byte(`{"plugins":[{"name":"\u001b\t","kinds":["a\u202e","好"],"endpoints":[{"id":"x","placement":"child","state":"READY","tls":"\n"}],"problems":["\u2028: - # \"'"]}]}`))
	f.Add([]byte(`{"plugins":[{"name":"` + strings.Repeat("w", 500) + `","endpoints":[{"placement":"network","state":"IDLE","lastError":"` + strings.Repeat("好", 500) + `"}]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var list found
		if len(raw) > 64<<10 || json.Unmarshal(raw, &list) != nil {
			return
		}
		for name, write := range formats() {
			var text strings.Builder
			if err := write(&text, list, &page{now: time.Now(), watched: len(raw)%2 == 0}); err != nil {
				if name == "json" || name == "yaml" {
					continue // a placement that is none, say
				}
				t.Fatalf("%s: %v", name, err)
			}
			said := text.String()
			if printable.Text(said) != said {
				t.Fatalf("%s is not fit to be shown: %q", name, said)
			}
			switch name {
			case "json":
				checkSame(t, list, said, json.Unmarshal)
			case "yaml":
				checkSame(t, list, said, yamlAsJSON)
			default:
				for line := range strings.SplitSeq(said, "\n") {
					if printable.Width(line) > maxRow {
						t.Fatalf("a row of %d columns: %q", printable.Width(line), line)
					}
				}
			}
		}
	})
}

// checkSame checks that text says what list does.
func checkSame(t *testing.T, list found, text string, read func([]byte, any) error) {
	t.Helper()
	var again found
	if err := read([]byte(text), &again); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if diff := cmp.Diff(list, again, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("-list +text\n%s\n%s", diff, text)
	}
}

func yamlAsJSON(text []byte, into any) error {
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return err
	}
	raw, err := json.Marshal(tree)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// FuzzCallArguments is whatever somebody types behind basic call.
func FuzzCallArguments(f *testing.F) {
	for _, pair := range [][2]string{{"Ada", "2"}, {`["Ada", 2]`, ""}, {` {"name": "Ada"}`, `"`}, {"\u202e", " "}, {"[", "]"}, {"1 2", "\ufeff1"}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		single := arguments([]string{one})
		if !json.Valid(single) || single[0] != '[' && single[0] != '{' {
			t.Fatalf("%q became %s", one, single)
		}
		var both []json.RawMessage
		if err := json.Unmarshal(arguments([]string{one, two}), &both); err != nil || len(both) != 2 {
			t.Fatalf("%q and %q became %d elements: %v", one, two, len(both), err)
		}
		for i, given := range []string{one, two} {
			var compact bytes.Buffer
			if json.Compact(&compact, []byte(given)) == nil {
				var want, got any
				if json.Unmarshal(compact.Bytes(), &want) == nil && (json.Unmarshal(both[i], &got) != nil || !cmp.Equal(want, got)) {
					t.Fatalf("%q became %s", given, both[i])
				}
				continue
			}
			var text string
			if err := json.Unmarshal(both[i], &text); err != nil || text != strings.ToValidUTF8(given, "\ufffd") && text != given {
				if strings.ToValidUTF8(given, "") == given { // basic call takes nothing else
					t.Fatalf("%q became %s: %v", given, both[i], err)
				}
			}
		}
	})
}

// FuzzCallResult is a result that a daemon says a method had.
func FuzzCallResult(f *testing.F) {
	for _, result := range []string{`"Hello"`, `{"a": [1e5, "\u001b\u202e"]}`, "\"\u202e\u2028\"", `null`, "", "[1,\n 2]", "\"\xff\""} {
		f.Add([]byte(result))
	}
	f.Fuzz(func(t *testing.T, result []byte) {
		var out bytes.Buffer
		if err := printResult(&out, result); err != nil {
			if json.Valid(result) {
				t.Fatalf("%s is not printed: %v", result, err)
			}
			return
		}
		said := out.String()
		if line, ok := strings.CutSuffix(said, "\n"); !ok || printable.Line(line) != line {
			t.Fatalf("not one line: %q", said)
		}
		var before, after any
		if json.Unmarshal(result, &before) != nil {
			return // a number beyond float64
		}
		if err := json.Unmarshal(out.Bytes(), &after); err != nil || !cmp.Equal(before, after) {
			t.Fatalf("%s became %s: %v", result, said, err)
		}
	})
}

// FuzzNetworkList is the whole of NETWORK_PLUGIN: the host reads it in two steps, and
// takes what the one that reads it in one takes.
func FuzzNetworkList(f *testing.F) {
	for _, list := range []string{"", " a:1 ,, b=h:2,", "dns:///h:1,x", "\n a=h:1,\n a=h:2 ", "\u00a0a:1\u2003,b:2"} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		if strings.Contains(list, "\x00") {
			return // no environment holds it
		}
		t.Setenv("NETWORK_PLUGIN", list)
		want, refused := static.Parse(list)
		c, err := basic().readConfig()
		if (err == nil) != (refused == nil) {
			t.Fatalf("%q: %v, %v", list, err, refused)
		}
		got, err := static.Parse(strings.Join(c.NetworkPlugin, ","))
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (refused == nil) {
			t.Fatalf("%q: %v, %v\n%s", list, refused, err, diff)
		}
		for _, element := range c.NetworkPlugin {
			if strings.TrimSpace(element) != element || element == "" {
				t.Fatalf("%q has the element %q", list, element)
			}
		}
	})
}

// FuzzEnvironment sets one variable of the host to anything. An error names it.
func FuzzEnvironment(f *testing.F) {
	program := basic()
	program.Finders = []Finder{new(kube.Finder)}
	variables := program.environment()
	for i := range variables {
		for _, value := range []string{"5", "-1s\x1b"} {
			f.Add(i, value)
		}
	}
	f.Fuzz(func(t *testing.T, which int, value string) {
		if which < 0 || which >= len(variables) || strings.Contains(value, "\x00") {
			return
		}
		name := variables[which].name
		t.Setenv(name, value)
		program := basic()
		program.Finders = []Finder{new(kube.Finder)} // read anew
		c, err := program.readConfig()
		if err == nil {
			if err := c.validate(); err != nil {
				t.Fatalf("%s=%q was taken: %v", name, value, err)
			}
			return
		}
		shown := told(err)
		if !strings.HasPrefix(shown, name) || len(shown) > maxError+len("… (cut)") || printable.Text(shown) != shown {
			t.Fatalf("%s=%q: %q", name, value, shown)
		}
	})
}
