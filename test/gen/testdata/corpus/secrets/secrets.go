// SPDX-License-Identifier: MPL-2.0

// Package secrets has what stores of secrets ask of their backends.
//
//reattach:name=acme.secrets
package secrets

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Operation is what a request does.
type Operation string

// Request is a request to a backend.
type Request struct {
	ID        string
	Operation Operation
	Path      string
	Data      map[string][]byte
	Headers   http.Header
	TTL       time.Duration
	Wrap      *Wrap
}

// Wrap says how an answer is wrapped.
type Wrap struct {
	TTL    time.Duration
	Format string
	SealBy *time.Time
}

// Response is a backend's answer.
type Response struct {
	Data     map[string]string
	Warnings []string
	Lease
}

// Lease is how long an answer holds.
type Lease struct {
	Duration  time.Duration
	Renewable bool
	Issued    time.Time
}

var (
	// ErrPermission is a request that is not allowed.
	ErrPermission = errors.New("permission denied")
	// ErrReadOnly is a write to a standby.
	ErrReadOnly error = readOnly{}
)

type readOnly struct{}

func (readOnly) Error() string { return "read only" }

// CodedError has a code for a client.
type CodedError struct {
	Status int
	Err    string
}

// Error implements error.
func (e *CodedError) Error() string { return e.Err }

// Entry is what is stored under a key.
type Entry struct {
	Key   string
	Value []byte
}

// Storage is what a backend keeps its entries in.
type Storage interface {
	Get(ctx context.Context, key string) (*Entry, error)
	Put(ctx context.Context, entry *Entry) error
	List(ctx context.Context, prefix string) ([]string, error)
}

// Backend answers requests of one mount.
type Backend interface {
	HandleRequest(ctx context.Context, req *Request, storage Storage) (*Response, error)
	Cleanup(ctx context.Context) error
}

// Database makes users of a database.
type Database interface {
	//reattach:panics
	Type() string
	Initialize(ctx context.Context, config map[string]string, verify bool) error
	NewUser(ctx context.Context, statements []string, expires time.Time) (username, password string, err error)
	//reattach:idempotent repeats=0
	DeleteUser(ctx context.Context, username string) error
}

// KMS encrypts keys.
type KMS interface {
	//reattach:idempotent
	Status(ctx context.Context) (version string, healthy bool, keyID string, err error)
	Encrypt(ctx context.Context, uid string, plain []byte) (ciphertext []byte, keyID string, annotations map[string][]byte, err error)
	Decrypt(ctx context.Context, uid string, ciphertext []byte, keyID string, annotations map[string][]byte) ([]byte, error)
}

// Credentials finds credentials for a registry.
type Credentials interface {
	Find(ctx context.Context, image string) (cache time.Duration, auth map[string]Login, err error)
}

// Login is a name and a password.
type Login struct{ Username, Password string }
