// SPDX-License-Identifier: MPL-2.0

package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// What an Action can make the plugin do.
const (
	// Say writes Text to os.Stdout, Complain writes it to os.Stderr.
	Say      = "say"
	Complain = "complain"

	// Flood writes N bytes of numbered lines to os.Stdout, see FloodLine.
	Flood = "flood"

	// FloodWhen answers at once, and floods as soon as the file Text exists.
	// When it is through it creates the file Text + ".done".
	FloodWhen = "floodwhen"

	// Sleep answers after N milliseconds, with Text.
	Sleep = "sleep"

	// Exit ends the plugin at once, and is not answered.
	Exit = "exit"
	// Panic ends the plugin with a panic that says Text.
	Panic = "panic"

	// Fail answers the error Text.
	Fail = "fail"

	// Env answers the environment variable named Text; N is 1 if it is set.
	Env = "env"

	// Log logs Text at info level by the plugin's hclog logger.
	Log = "log"

	// Report answers a Status as JSON.
	Report = "report"
)

// Action is one wish, see the constants.
type Action struct {
	Do   string
	Text string
	N    int64
}

// Outcome is what came of an action.
type Outcome struct {
	Text string
	N    int64
}

// Status is what a plugin says of itself.
type Status struct {
	Pid        int
	Goroutines int
	HeapBytes  uint64

	// Library is the go-plugin that the plugin was built with: a version, or
	// the path that replaces it.
	Library string

	// Sleeping counts the calls that are in a Sleep.
	Sleeping int64

	// Stacks holds all goroutines if the Report's Text was "stacks".
	Stacks string
}

// Memory implements Store in memory.
type Memory struct {
	// Log is used by the action Log.
	Log hclog.Logger

	// SleepGate, if set, is a file for which every Sleep waits first.
	SleepGate string

	sleeping atomic.Int64

	mu      sync.Mutex
	entries map[string][]byte
}

// Put keeps a value.
func (m *Memory) Put(key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = map[string][]byte{}
	}
	m.entries[key] = value
	return nil
}

// Get returns a kept value.
func (m *Memory) Get(key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok := m.entries[key]
	if !ok {
		return nil, fmt.Errorf("no value for key %q", key)
	}
	return value, nil
}

// Act does what the action says.
func (m *Memory) Act(a Action) (Outcome, error) {
	switch a.Do {
	case Say:
		n, err := os.Stdout.WriteString(a.Text)
		return Outcome{N: int64(n)}, err
	case Complain:
		n, err := os.Stderr.WriteString(a.Text)
		return Outcome{N: int64(n)}, err
	case Flood:
		return Outcome{N: a.N}, WriteFlood(os.Stdout, a.N)
	case FloodWhen:
		go floodWhen(a.Text, a.N)
		return Outcome{}, nil
	case Sleep:
		m.sleeping.Add(1)
		defer m.sleeping.Add(-1)
		if m.SleepGate != "" {
			awaitFile(m.SleepGate)
		}
		time.Sleep(time.Duration(a.N) * time.Millisecond)
		return Outcome{Text: a.Text, N: a.N}, nil
	case Exit:
		os.Exit(0)
		return Outcome{}, nil
	case Panic:
		panic(a.Text)
	case Fail:
		return Outcome{}, errors.New(a.Text)
	case Env:
		value, set := os.LookupEnv(a.Text)
		if !set {
			return Outcome{}, nil
		}
		return Outcome{Text: value, N: 1}, nil
	case Log:
		m.Log.Info(a.Text, "from", "plugin")
		return Outcome{}, nil
	case Report:
		return m.report(a.Text == "stacks")
	default:
		return Outcome{}, fmt.Errorf("no action is called %q", a.Do)
	}
}

func (m *Memory) report(stacks bool) (Outcome, error) {
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	status := Status{
		Pid:        os.Getpid(),
		Goroutines: runtime.NumGoroutine(),
		HeapBytes:  mem.HeapAlloc,
		Library:    Library(),
		Sleeping:   m.sleeping.Load(),
	}
	if stacks {
		buf := make([]byte, 1<<20)
		status.Stacks = string(buf[:runtime.Stack(buf, true)])
	}
	text, err := json.Marshal(status)
	return Outcome{Text: string(text)}, err
}

// Library says which go-plugin this program was built with.
func Library() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, dep := range info.Deps {
		if dep.Path != "github.com/hashicorp/go-plugin" {
			continue
		}
		if dep.Replace != nil {
			return dep.Replace.Path
		}
		return dep.Version
	}
	return "unknown"
}
