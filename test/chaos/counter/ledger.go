// SPDX-License-Identifier: MPL-2.0

package counter

import (
	"math/rand/v2"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

// work is how long a call takes, so that there are always some in flight.
const work = 8 * time.Millisecond

// ledger is a Counter that appends the id of each call that it runs to a file.
type ledger struct {
	name string
	file *os.File
}

func (l *ledger) Add(id string) (string, error) {
	// One write of one line: it is there even if the process is killed next.
	if _, err := l.file.WriteString(id + "\n"); err != nil {
		return "", err
	}
	<-time.After(work)
	return l.name, nil
}

func (l *ledger) Get(id string) (string, error) { return l.Add(id) }

func (l *ledger) AddOrPanic(id string) (string, error) {
	answer, err := l.Add(id)
	if rand.IntN(2) == 0 {
		panic("bad luck")
	}
	return answer, err
}

func (l *ledger) GetOrPanic(id string) (string, error) { return l.AddOrPanic(id) }

// ServeConfig is what an instance of the plugin serves that the environment
// describes: REPLICA_NAME is what it answers, REPLICA_LOG the file that it appends
// to, a line for each call, at once. REPLICA_PROTOCOL may be grpc.
func ServeConfig() (*plugin.ServeConfig, error) {
	file, err := os.OpenFile(os.Getenv("REPLICA_LOG"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	impl := &ledger{os.Getenv("REPLICA_NAME"), file}
	config := &plugin.ServeConfig{
		HandshakeConfig: Handshake(),
		Plugins:         plugin.PluginSet{Kind: &Plugin{Impl: impl}},
		Logger:          hclog.NewNullLogger(), // The stacks of panics would fill the screen.
	}
	if os.Getenv("REPLICA_PROTOCOL") == "grpc" {
		config.Plugins = plugin.PluginSet{Kind: &GRPCPlugin{Impl: impl}}
		config.GRPCServer = plugin.DefaultGRPCServer
	}
	return config, nil
}
