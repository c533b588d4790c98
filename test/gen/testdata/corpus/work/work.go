// SPDX-License-Identifier: MPL-2.0

// Package work has what schedulers ask of their drivers.
package work

import (
	"context"
	"errors"
	"iter"
	"time"
)

// TaskID names a task.
type TaskID [16]byte

// Task is what is to be run.
type Task struct {
	ID        TaskID
	Name      string
	Command   []string
	Env       map[string]string
	Resources Resources
	Mounts    []Mount
	Ports     map[string]uint16
}

// Resources are what a task may use.
type Resources struct {
	CPU      float64
	Memory   uint64
	GPUs     []string
	NUMA     *int32
	Affinity map[int32]bool
}

// Mount is a directory of the host.
type Mount struct {
	From, To string
	ReadOnly bool
}

// Exit is how a task ended.
type Exit struct {
	Code    int32
	Signal  int8
	OOM     bool
	Message string
}

// Handle is what a driver recovers a task by.
type Handle struct {
	Version int
	State   []byte
}

// Fingerprint says what a driver can do on this machine.
type Fingerprint struct {
	Healthy    bool
	Attributes map[string]string
	At         time.Time
}

// Event is something that happened to a task.
type Event struct {
	Task    TaskID
	At      time.Time
	Message string
}

// Size is that of a terminal.
type Size struct{ Height, Width int }

// Input is what comes from a terminal: some bytes, or a new size.
type Input struct {
	Bytes  []byte
	Resize *Size
}

// ErrNotFound says that there is no such task.
var ErrNotFound = errors.New("task not found")

// Driver runs tasks.
type Driver interface {
	//reattach:idempotent repeats=0
	Fingerprint(ctx context.Context) (<-chan Fingerprint, error)
	Start(ctx context.Context, task *Task) (*Handle, error)
	Recover(ctx context.Context, handle Handle) error
	//reattach:timeout=24h
	Wait(ctx context.Context, id TaskID) (Exit, error)
	Stop(ctx context.Context, id TaskID, timeout time.Duration, signal string) error
	Stats(ctx context.Context, id TaskID, interval time.Duration) iter.Seq2[map[string]float64, error]
	Events(ctx context.Context) (iter.Seq2[*Event, error], error)
	Exec(ctx context.Context, id TaskID, command []string, tty bool, stdin iter.Seq2[Input, error]) iter.Seq2[[]byte, error]
}

// Device gives out devices.
type Device interface {
	ListAndWatch(ctx context.Context) (iter.Seq2[[]Health, error], error)
	Allocate(ctx context.Context, ids []string) (Allocation, error)
}

// Health is that of a device.
type Health struct {
	ID      string
	Healthy bool
	Nodes   []int64
}

// Allocation is what a container gets.
type Allocation struct {
	Envs   map[string]string
	Mounts []*Mount
}

// Autoscaler says how many there should be.
type Autoscaler interface {
	Scale(ctx context.Context, history [][]float64, window [2]time.Time) (count int, reason string, err error)
}
