// SPDX-License-Identifier: MPL-2.0

// Package storage has what clusters ask of their volumes, and runtimes of their layers.
package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/big"
	"time"
)

// Mode is how a volume may be used.
type Mode int32

// Capability is one way to use a volume.
type Capability struct {
	Mode  Mode
	Block bool
	Flags []string
}

// Volume is a volume.
type Volume struct {
	ID       string
	Bytes    int64
	Context  map[string]string
	Topology []map[string]string
	Source   *Source
}

// Source is what a volume was made of.
type Source struct{ Snapshot, Volume string }

// Snapshot is a volume at one time.
type Snapshot struct {
	ID, Volume string
	Created    time.Time
	Ready      bool
}

// ErrExhausted says that there is no room left.
var ErrExhausted = errors.New("no room left")

// MissingError names what is missing.
type MissingError struct{ Kind, ID string }

// Error implements error.
func (e *MissingError) Error() string { return fmt.Sprintf("there is no %s %s", e.Kind, e.ID) }

// Is makes it fs.ErrNotExist as well.
func (e *MissingError) Is(target error) bool { return target == fs.ErrNotExist }

// Identity says what a driver is.
type Identity interface {
	Info() (name, version string, manifest map[string]string, err error)
	Probe(ctx context.Context) (ready *bool, err error)
}

// Controller makes volumes.
type Controller interface {
	Identity
	Create(ctx context.Context, name string, required, limit int64, capabilities []Capability, parameters, secrets map[string]string) (*Volume, error)
	//reattach:idempotent
	Delete(ctx context.Context, id string) error
	List(ctx context.Context, max int32, token string) (volumes []Volume, next string, err error)
	Snapshot(ctx context.Context, id string) (Snapshot, error)
	Expand(ctx context.Context, id string, to *big.Int) (int64, error)
}

// Node mounts volumes.
type Node interface {
	io.Closer
	Stage(ctx context.Context, id, path string, capability Capability) error
	Usage(ctx context.Context, id string) (used, free uint64, err error)
}

// Snapshotter keeps the layers of images.
type Snapshotter interface {
	Stat(ctx context.Context, key string) (Layer, error)
	Prepare(ctx context.Context, key, parent string, labels map[string]string) ([]Mounted, error)
	Walk(ctx context.Context, visit Visitor, filters ...string) error
}

// Visitor is shown layers.
type Visitor interface {
	Visit(ctx context.Context, layer Layer) error
}

// Layer is a layer.
type Layer struct {
	Kind         uint8
	Name, Parent string
	Labels       map[string]string
	Created      time.Time
}

// Mounted is a mount.
type Mounted struct {
	Type, Source string
	Options      []string
}

// ObjectStore keeps backups.
type ObjectStore interface {
	Init(config map[string]string) error
	PutObject(ctx context.Context, bucket, key string, body iter.Seq2[[]byte, error]) error
	GetObject(ctx context.Context, bucket, key string) (iter.Seq2[[]byte, error], error)
	ListCommonPrefixes(bucket, prefix, delimiter string) ([]string, error)
	SignedURL(bucket, key string, ttl time.Duration) (string, error)
}

// ItemAction changes what is backed up.
type ItemAction interface {
	AppliesTo() (Selector, error)
	Execute(item []byte, backup Backup) (changed []byte, additional []ItemRef, err error)
}

// Selector says which items.
type Selector struct{ Included, Excluded []string }

// ItemRef names an item.
type ItemRef struct{ Group, Namespace, Name string }

// Backup is a backup.
type Backup struct {
	Name   string
	TTL    time.Duration
	Labels map[string]string
	Hooks  []struct2
}

type struct2 = Selector
