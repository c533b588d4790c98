// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/env"
)

// loggingPlugin logs by hclog and by slog whenever it is dispensed.
type loggingPlugin struct {
	echoPlugin
	logger hclog.Logger
}

func (p *loggingPlugin) Server(b *plugin.MuxBroker) (interface{}, error) {
	p.logger.Debug("debug by hclog")
	slog.New(plugin.NewSlogHandler(p.logger)).Debug("debug by slog")
	slog.New(plugin.NewSlogHandler(p.logger)).Warn("warning by slog", "answer", 42)
	return p.echoPlugin.Server(b)
}

// TestLogLevelOfPlugin holds that whoever runs a plugin says how much it logs, whatever
// its author wrote, and that what comes over a slog.Handler are log entries to the host,
// which writes them by slog as well.
func TestLogLevelOfPlugin(t *testing.T) {
	for level, want := range map[string]struct{ debug, warn bool }{
		"": {true, true}, "debug": {true, true}, "WARN": {false, true}, "off": {false, false},
	} {
		t.Run(level, func(t *testing.T) {
			log := &logLines{}
			cfg := childConfig("logging")
			cfg.Cmd.Env = append(cfg.Cmd.Env, env.LogLevel+"="+level)
			cfg.Logger = plugin.NewSlogLogger(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			cfg.SyncStdout, cfg.SyncStderr = io.Discard, io.Discard
			c := plugin.NewClient(cfg)
			protocol, err := c.Client()
			if err != nil {
				c.Kill()
				t.Fatal(err)
			}
			_, err = protocol.Dispense("echo")
			c.Kill() // which waits for all that it wrote
			if err != nil {
				t.Fatal(err)
			}
			for line, want := range map[string]bool{
				`level=DEBUG msg="debug by hclog"`: want.debug,
				`level=DEBUG msg="debug by slog"`:  want.debug,
				`level=WARN msg="warning by slog"`: want.warn,
			} {
				if strings.Contains(log.String(), line) != want {
					t.Errorf("%q is logged: %v, want %v\n%s", line, !want, want, log)
				}
			}
			if want.warn && !strings.Contains(log.String(), "answer=42") {
				t.Errorf("the warning has lost its attribute\n%s", log)
			}
		})
	}
}

func TestLogLevelThatIsNone(t *testing.T) {
	log := &logLines{}
	cfg := childConfig("logging")
	cfg.Cmd.Env = append(cfg.Cmd.Env, env.LogLevel+"=loud")
	cfg.Logger = hclog.New(&hclog.LoggerOptions{Output: log})
	c := plugin.NewClient(cfg)
	_, err := c.Client()
	c.Kill()
	if want := `PLUGIN_LOG_LEVEL is "loud": want trace, debug, info, warn, error or off`; err == nil || !strings.Contains(strings.ReplaceAll(log.String(), `\"`, `"`), want) {
		t.Errorf("%v, want %q in the log\n%s", err, want, log)
	}
}
