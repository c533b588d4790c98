// SPDX-License-Identifier: MPL-2.0

package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// What basic may print, in columns of a terminal and in bytes.
const (
	maxRow    = 300
	maxRecord = 4 << 10
)

// hostileDir builds the plugin of ./hostile into a directory of its own.
func hostileDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "hostile.po"), "./hostile")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return dir
}

// checkWords fails for text that a terminal would not show as it is, and for lines
// of more than limit columns.
func checkWords(t *testing.T, what, text string, limit int) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s is no UTF-8: %.200q", what, text)
	}
	for _, r := range text {
		if r != '\n' && r != '\t' && (!unicode.IsPrint(r) && r != '\u3000' || unicode.Is(unicode.Cf, r)) {
			t.Errorf("%s has %U: %.300q", what, r, text)
			break
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if columns := utf8.RuneCountInString(line); columns > limit {
			t.Errorf("%s has a line of %d columns: %.200q", what, columns, line)
			break
		}
		if strings.HasPrefix(line, "2026-01-01") {
			t.Errorf("%s has a line that the plugin made: %.200q", what, line)
			break
		}
	}
}

// checkLog fails for records that are too long, and for what checkWords refuses.
func checkLog(t *testing.T, what, log string) {
	t.Helper()
	checkWords(t, what, log, maxRecord)
	begins := regexp.MustCompile(`(?m)^\S`)
	starts := append(begins.FindAllStringIndex(log, -1), []int{len(log)})
	for i, start := range starts[:len(starts)-1] {
		if size := starts[i+1][0] - start[0]; size > maxRecord {
			t.Errorf("%s has a record of %d bytes: %.200q", what, size, log[start[0]:])
			break
		}
	}
}

// scrub takes away what differs from run to run.
var scrub = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`\((\d+(\.\d+)?(ns|µs|ms|s))\)`), "(TIME)"},
	{regexp.MustCompile(`instance [^ ,]+`), "instance ID"},
	{regexp.MustCompile(`(\(devel\)|v\d+\.\S+) go1\.\S+( [0-9a-f]{12})?(\+changes)?`), "BUILD"},
	{regexp.MustCompile(`/\S*/(hostile\.po|h\w*…)`), "DIR/hostile.po"},
	{regexp.MustCompile(` \d+s +`), " AGE "},
	{regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ?`), "TIME"},
	{regexp.MustCompile(` +`), " "},
}

// TestWordsOfAPlugin runs every command against a plugin whose every text is made
// to steer a terminal, as a child and over the network, in both protocols. What is
// printed is held against testdata/words.golden; -update writes that.
func TestWordsOfAPlugin(t *testing.T) {
	dir := hostileDir(t)
	var golden strings.Builder
	for _, version := range []string{"1", "2"} {
		p := startPlugin(t, filepath.Join(dir, "hostile.po"))
		places := map[string][]string{
			"child":   {"PLUGIN_DIR=" + dir, "LOG_LEVEL=trace"},
			"network": {"PLUGIN_DIR=", "NETWORK_PLUGIN=hostile=" + p.address(), "LOG_LEVEL=trace"},
		}
		for _, place := range []string{"child", "network"} {
			env := append(places[place], "CONTRACT_VERSIONS="+version)
			say := func(args []string, more ...string) outcome {
				got := command(t, args, append(env, more...)...)
				name := fmt.Sprintf("%s v%s: basic %s %s", place, version, strings.Join(args, " "), strings.Join(more, " "))
				limit := maxRow
				if len(args) > 0 && (args[0] == "call" || args[len(args)-1] == "json" || args[len(args)-1] == "yaml") {
					limit = 64 << 20 // data, which is not cut
				}
				checkWords(t, name, got.Stdout, limit)
				checkLog(t, name+" (log)", got.Stderr)
				if limit == maxRow {
					text := "# " + name + "\n" + got.Stdout
					for _, s := range scrub {
						text = s.what.ReplaceAllString(text, s.with)
					}
					golden.WriteString(text)
				}
				return got
			}
			for _, name := range []string{"Ada", "error", "long", "long error"} {
				say(nil, "GREET_NAME="+name)
			}
			say([]string{"plugins"})
			say([]string{"plugins", "-o", "wide"})
			checkListed(t, say([]string{"plugins", "-o", "json"}).Stdout)
			say([]string{"plugins", "-o", "yaml"})
			say([]string{"describe", "hostile"})
			say([]string{"describe", "hostile", "-o", "json"})
			say([]string{"events"})
			say([]string{"events", "-o", "json"})
			if place == "network" {
				say([]string{"probe", p.address()})
				say([]string{"doctor", p.address(), "-v"})
				say([]string{"doctor", "hostile", "-v", "--call", "greeter.Greet \"long error\""})
				say([]string{"doctor", p.address(), "-o", "json"})
			}
			checkAnswer(t, say([]string{"call", "hostile", "greeter.Greet", "Ada"}).Stdout)
			for _, name := range []string{"error", "bytes", "long error"} {
				say([]string{"call", "hostile", "greeter.Greet", name})
			}
			say([]string{"call", "hostile", "pingponger.Ping"})
		}
		p.end(t, syscall.SIGTERM)
	}
	holdGolden(t, "words.golden", golden.String())
}

var update = flag.Bool("update", false, "write the golden files")

func holdGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", path, diff)
	}
}

// checkListed holds that what is cut in tables is whole in JSON.
func checkListed(t *testing.T, listed string) {
	t.Helper()
	var list struct{ Plugins []struct{ Kinds []string } }
	if err := json.Unmarshal([]byte(listed), &list); err != nil || len(list.Plugins) != 1 {
		t.Fatalf("%.200s: %v", listed, err)
	}
	if n := len(list.Plugins[0].Kinds); n != 602 && n != 0 {
		t.Errorf("%d kinds, want 602, or none of a child", n)
	}
}

// checkAnswer holds that JSON loses nothing of what the plugin said.
func checkAnswer(t *testing.T, answer string) {
	t.Helper()
	var text string
	if err := json.Unmarshal([]byte(answer), &text); err != nil {
		t.Fatalf("%.200q: %v", answer, err)
	}
	for _, part := range []string{"\x1b[31m", "\a", "\x7f", "\u009b", "\u202e", "\u200b", "\u2028", "\U000e0041", "\r\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("the answer has lost %q: %q", part, text)
		}
	}
}

// TestWordsReachTheDaemon is the same for basic serve: its output, its log, and
// every answer of its API.
func TestWordsReachTheDaemon(t *testing.T) {
	dir := hostileDir(t)
	p := startPlugin(t, filepath.Join(dir, "hostile.po"))
	cmd := exec.Command(filepath.Join(bin, "basic"), "serve")
	cmd.Env = environment("BASIC_LISTEN=127.0.0.1:0", "LOG_LEVEL=trace", "PLUGIN_DIR="+dir, "NETWORK_PLUGIN=far="+p.address())
	var stdout bytes.Buffer
	stderr := &watched{seen: make(chan string, 1), what: regexp.MustCompile(`serving HTTP: address=(\S+)`)}
	cmd.Stdout, cmd.Stderr = &stdout, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	url := "http://" + <-stderr.seen
	for _, plugin := range []string{"hostile", "far"} {
		for _, call := range []string{`greeter/methods/Greet ["Ada"]`, `greeter/methods/Greet ["error"]`, `greeter/methods/Greet ["long error"]`,
			`greeter/methods/Greet ["long"]`, `greeter/methods/Hi [1]`, `pingponger/methods/Ping []`} {
			path, body, _ := strings.Cut(call, " ")
			answer, err := http.Post(url+"/api/v1/plugins/"+plugin+"/kinds/"+path, "application/json", strings.NewReader(body))
			raw := checkBody(t, plugin+" "+call, answer, err)
			if answer.StatusCode != http.StatusOK && len(raw) > maxRecord+2<<10 { // escapes and what is around them
				t.Errorf("%s %s: a problem of %d bytes", plugin, call, len(raw))
			}
		}
	}
	for _, path := range readRoutes(t, url) {
		answer, err := http.Get(url + path)
		checkBody(t, path, answer, err)
	}
	checkAsking(t, url)
	answer, err := http.Get(url + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 16<<10)
	n, _ := io.ReadFull(answer.Body, first)
	answer.Body.Close()
	checkWords(t, "events", string(first[:n]), 64<<20)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	checkWords(t, "stdout", stdout.String(), maxRow)
	checkLog(t, "stderr", stderr.all.String())
	if !strings.Contains(stdout.String(), `greet: \x1b[31mred`) || !strings.Contains(stderr.all.String(), `\x1b[31mred`) {
		t.Errorf("it did not greet, or log: %.500s", &stdout)
	}
}

// readRoutes gives every path that the API says it can be asked for, of the plugin far,
// but for the events, which do not end.
func readRoutes(t *testing.T, url string) (paths []string) {
	t.Helper()
	answer, err := http.Get(url + "/api/v1/openapi.json")
	var described struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(checkBody(t, "openapi.json", answer, err), &described); err != nil {
		t.Fatal(err)
	}
	for path, methods := range described.Paths {
		if methods["get"] != nil && path != "/api/v1/events" {
			paths = append(paths, strings.ReplaceAll(path, "{name}", "far"))
		}
	}
	if len(paths) < 7 {
		t.Errorf("the API can be asked for %q only", paths)
	}
	return paths
}

// checkAsking runs each command that asks a daemon.
func checkAsking(t *testing.T, url string) {
	t.Helper()
	for _, line := range []string{"plugins", "plugins -o wide", "plugins -o json", "plugins -o yaml",
		"call far greeter.Greet Ada", "call far greeter.Greet error", "call far greeter.Hi 1", "call hostile pingponger.Ping"} {
		args := strings.Fields(line)
		got := command(t, append(args, "--server", url))
		limit := maxRow
		if args[0] == "call" || args[len(args)-1] == "json" || args[len(args)-1] == "yaml" {
			limit = 64 << 20 // data, which is not cut
		}
		checkWords(t, line, got.Stdout, limit)
		checkLog(t, line+" (log)", got.Stderr)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	watch := exec.CommandContext(ctx, filepath.Join(bin, "basic"), "plugins", "-o", "wide", "--watch", "--server", url)
	watch.Env = environment()
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		shown.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "far") {
			_ = watch.Process.Signal(os.Interrupt)
		}
	}
	_ = watch.Wait()
	checkWords(t, "plugins --watch", shown.String(), maxRow)
	if !strings.Contains(shown.String(), "far") {
		t.Errorf("plugins --watch shows %q", &shown)
	}
}

// TestWordsOfEveryCommand holds that the tests of this file run all commands that show
// words of plugins: a new one must be added to them.
func TestWordsOfEveryCommand(t *testing.T) {
	run := map[string]bool{"plugins": true, "describe": true, "events": true, "call": true, "probe": true, "serve": true,
		"conform": true, "doctor": true, "expose": true, "attach": true}
	silent := map[string]bool{"version": true, "completion": true, "help": true} // about basic itself
	help := command(t, []string{"--help"}).Stdout
	_, list, found := strings.Cut(help, "Available Commands:\n")
	if !found {
		t.Fatalf("help lists no commands: %s", help)
	}
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			break
		}
		if !run[fields[0]] && !silent[fields[0]] {
			t.Errorf("command %q shows words of plugins that no test here reads", fields[0])
		}
	}
}

func checkBody(t *testing.T, what string, answer *http.Response, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	checkWords(t, what, string(raw), 64<<20)
	if strings.Contains(answer.Header.Get("Content-Type"), "json") && !json.Valid(raw) {
		t.Errorf("%s is no JSON: %.300q", what, raw)
	}
	return raw
}

// watched keeps what is written, and gives the first match. One process writes.
type watched struct {
	all  bytes.Buffer
	seen chan string
	what *regexp.Regexp
	done bool
}

func (w *watched) Write(p []byte) (int, error) {
	w.all.Write(p)
	if m := w.what.FindSubmatch(p); m != nil && !w.done {
		w.done = true
		w.seen <- string(m[1])
	}
	return len(p), nil
}

// TestWordsOfStrangers asks after what is no plugin, or one that refuses: each is
// named, with what to do, and none of its bytes is shown.
func TestWordsOfStrangers(t *testing.T) {
	const refusal = `go-plugin/1 {"refusal":{"code":"busy","message":"\u001b[2J\u009b\u202efull\u200b\r\n2026-01-01 forged"}}` + "\n"
	cases := map[string]struct{ sends, says string }{
		"HTTP/2":     {"\x00\x00\x18\x04\x00\x00\x00\x00\x00" + strings.Repeat("\x00", 24), "HTTP/2 server"},
		"web":        {"HTTP/1.1 400 Bad Request\r\nX: \x1b[2J\r\n\r\n", "web server"},
		"SSH":        {"SSH-2.0-OpenSSH_9.9\x1b\r\n", "SSH server"},
		"TLS":        {"\x15\x03\x01\x00\x02\x02\x46", "TLS server"},
		"mail":       {"220 mail\x1b.example ESMTP\r\n", "mail or FTP server"},
		"redis":      {"-ERR unknown command\r\n", "Redis server"},
		"binary":     {"\xde\xad\xbe\xef\x1b[2J\x00\x00", `\xbe\xef\x1b[2J`},
		"bidi":       {"\u202egnp\u200b\u009b\n", `\u202egnp`},
		"refusal":    {refusal, `\x1b[2J`},
		"long":       {strings.Replace(refusal, "full", strings.Repeat("full \\u001b", 5000), 1), `\x1b[2J`},
		"too long":   {strings.Replace(refusal, "full", strings.Repeat("full", 5<<20/4), 1), "longer than 65536 bytes"},
		"bad answer": {`go-plugin/1 {"answer":{"core":1,"version":2,"protocol":"grpc","name":"\u001b[2J"}}` + "\n", "cannot be shown"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := stranger(t, tc.sends)
			env := []string{"PLUGIN_DIR=", "NETWORK_PLUGIN=x=" + address, "LOG_LEVEL=trace", "ATTACH_TIMEOUT=5s"}
			for _, args := range [][]string{nil, {"plugins"}, {"plugins", "-o", "wide"}, {"plugins", "-o", "yaml"}, {"probe", address}, {"doctor", address}, {"conform", address, "--timeout", "2s"}} {
				got := command(t, args, env...)
				limit := maxRow
				if len(args) == 3 && args[2] == "yaml" {
					limit = 64 << 20
				}
				checkWords(t, strings.Join(args, " "), got.Stdout, limit)
				checkLog(t, strings.Join(args, " ")+" (log)", got.Stderr)
				if args == nil || args[0] == "probe" || args[0] == "doctor" {
					if !strings.Contains(got.Stdout, tc.says) {
						t.Errorf("basic %v does not say %q: %s", args, tc.says, got.Stdout)
					}
				}
				if strings.Contains(got.Stdout, `\x00\x00\x18`) {
					t.Errorf("basic %v shows bytes: %s", args, got.Stdout)
				}
			}
		})
	}
}

// stranger answers the first line of each connection with text.
func stranger(t *testing.T, text string) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lis.Close() })
	go func() {
		for {
			c, err := lis.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = c.Read(make([]byte, 1<<10))
				_, _ = io.WriteString(c, text)
				_ = c.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
	return lis.Addr().String()
}
