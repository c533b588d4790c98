// SPDX-License-Identifier: MPL-2.0

package logging

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
)

// text is a handler of lines without the time.
func text(to *bytes.Buffer, level slog.Level, source bool) slog.Handler {
	return slog.NewTextHandler(to, &slog.HandlerOptions{Level: level, AddSource: source, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch {
		case a.Key == slog.TimeKey:
			return slog.Attr{}
		case a.Key == slog.SourceKey:
			return slog.String("function", a.Value.Any().(*slog.Source).Function)
		}
		return a
	}})
}

const everything = slog.LevelDebug - 4

func TestToSlog(t *testing.T) {
	cases := map[string]struct {
		reason string
		log    func(hclog.Logger)
		want   string
	}{
		"levels": {"each has its place", func(l hclog.Logger) {
			l.Trace("a")
			l.Debug("b")
			l.Info("c")
			l.Warn("d")
			l.Error("e")
			l.Log(hclog.Off, "f")
		}, "level=DEBUG-4 msg=a\nlevel=DEBUG msg=b\nlevel=INFO msg=c\nlevel=WARN msg=d\nlevel=ERROR msg=e\n"},
		"names": {"a name is one attribute", func(l hclog.Logger) {
			l.Named("a").With("k", 1).Named("b").Info("m", "x", true)
			l.Named("a").ResetNamed("c").Info("n")
		}, "level=INFO msg=m k=1 logger=a.b x=true\nlevel=INFO msg=n logger=c\n"},
		"values": {"they look as hclog writes them", func(l hclog.Logger) {
			l.Info("m", "e", errors.New("no"), "f", hclog.Fmt("%d/%d", 1, 2), "h", hclog.Hex(255), "o", hclog.Octal(8), "b", hclog.Binary(2), "q", hclog.Quote("a"), "d", 25*time.Second)
		}, "level=INFO msg=m e=no f=1/2 h=0xff o=010 b=0b10 q=\"\\\"a\\\"\" d=25s\n"},
		"odd": {"a value without a key is kept, and a key need be no string", func(l hclog.Logger) {
			l.Info("m", 7, "seven", "alone")
		}, "level=INFO msg=m 7=seven EXTRA_VALUE_AT_END=alone\n"},
		"set level": {"it counts for all that came of the logger", func(l hclog.Logger) {
			named := l.Named("a")
			l.SetLevel(hclog.Warn)
			named.Info("left out")
			l.Warn("m", "level", named.GetLevel(), "info", named.IsInfo(), "warn", named.IsWarn())
		}, "level=WARN msg=m level=warn info=false warn=true\n"},
		"standard": {"package log has levels in brackets", func(l hclog.Logger) {
			l.StandardLogger(nil).Print("[WARN] as it is")
			l.StandardLogger(&hclog.StandardLoggerOptions{InferLevels: true}).Print("[ERR] bad")
			l.StandardLogger(&hclog.StandardLoggerOptions{InferLevels: true}).Print("[what] ever")
			l.StandardLogger(&hclog.StandardLoggerOptions{InferLevels: true, InferLevelsWithTimestamp: true}).Print("2026/01/02 03:04:05 [WARN] late")
			l.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}).Print("[ERROR] forced")
		}, "level=INFO msg=\"[WARN] as it is\"\nlevel=ERROR msg=bad\nlevel=INFO msg=\"[what] ever\"\nlevel=WARN msg=late\nlevel=DEBUG msg=forced\n"},
	}
	for name, tc := range cases {
		var log bytes.Buffer
		tc.log(ToSlog(text(&log, everything, false)))
		if diff := cmp.Diff(tc.want, log.String()); diff != "" {
			t.Errorf("%s: %s: (-want +got)\n%s", name, tc.reason, diff)
		}
	}
}

// TestToSlogSource holds that a record names whoever logged.
func TestToSlogSource(t *testing.T) {
	var log bytes.Buffer
	l := ToSlog(text(&log, everything, true))
	l.Info("m")
	l.Log(hclog.Info, "m")
	if n := strings.Count(log.String(), "function=github.com/hashicorp/go-plugin/internal/logging.TestToSlogSource "); n != 2 {
		t.Errorf("%d of 2 lines name this function:\n%s", n, &log)
	}
}

func TestToSlogLevels(t *testing.T) {
	for level, want := range map[slog.Level]hclog.Level{everything: hclog.Trace, slog.LevelDebug: hclog.Debug, slog.LevelWarn + 1: hclog.Error, slog.LevelError + 1: hclog.Off} {
		if got := ToSlog(text(new(bytes.Buffer), level, false)).GetLevel(); got != want {
			t.Errorf("%s: level %s, want %s", level, got, want)
		}
	}
}

// secret is written by its LogValue.
type secret string

func (secret) LogValue() slog.Value { return slog.StringValue("***") }

func TestFromSlog(t *testing.T) {
	var log bytes.Buffer
	l := hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: &log, DisableTime: true, Name: "n"})
	s := slog.New(FromSlog(l))
	s.Log(t.Context(), slog.LevelDebug-1, "a")
	s.Debug("b", "d", 25*time.Second)
	s.Info("c", slog.Group("g", "x", 1, slog.Group("", "y", 2)), "s", secret("x"), slog.Attr{})
	s.With("k", 1).WithGroup("h").WithGroup("").With("l", 2).Warn("d", "m", 3)
	s.Error("e", "err", errors.New("no"))
	l.SetLevel(hclog.Error)
	s.Warn("left out")
	want := "[TRACE] n: a\n[DEBUG] n: b: d=25s\n[INFO]  n: c: g.x=1 g.y=2 s=\"***\"\n[WARN]  n: d: h.l=2 k=1 h.m=3\n[ERROR] n: e: err=no\n"
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if s.Enabled(t.Context(), slog.LevelWarn) || !s.Enabled(t.Context(), slog.LevelError) {
		t.Error("the handler has not the logger's level")
	}
}

// TestThereAndBack holds that both together lose no attribute.
func TestThereAndBack(t *testing.T) {
	var there, straight bytes.Buffer
	for to, h := range map[*bytes.Buffer]slog.Handler{&there: FromSlog(ToSlog(text(&there, everything, false))), &straight: text(&straight, everything, false)} {
		for level := everything; level <= slog.LevelError; level += 4 {
			slog.New(h).With("a", 1).Log(t.Context(), level, fmt.Sprint("m", level), "b", "two", "c", []int{3})
		}
		if to.Len() == 0 {
			t.Fatal("nothing is logged")
		}
	}
	if diff := cmp.Diff(straight.String(), there.String()); diff != "" {
		t.Errorf("(-straight +there and back)\n%s", diff)
	}
}
