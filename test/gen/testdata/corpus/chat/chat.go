// SPDX-License-Identifier: MPL-2.0

// Package chat has what a server for teams asks of its plugins, and ledgers, databases and
// shops of theirs.
package chat

import (
	"context"
	"errors"
	"iter"
	"math/big"
	"time"
)

// Post is a message.
type Post struct {
	ID, Channel, User string
	Text              string
	Created           time.Time
	Props             map[string]string
	Replies           []*Post
	Reactions         map[rune]int
}

// ErrRejected says that a post is not wanted.
var ErrRejected = errors.New("rejected")

// Code is an error by its number.
type Code int32

// Error implements error.
func (c Code) Error() string { return "code" }

// API is what a plugin may ask of the server.
type API interface {
	User(ctx context.Context, id string) (name, email string, err error)
	Send(ctx context.Context, post *Post) (*Post, error)
	KVSet(key string, value []byte, expires time.Duration) (bool, error)
}

// Hooks are told what happens.
type Hooks interface {
	OnActivate(api API) error
	MessageWillBePosted(ctx context.Context, post *Post, api API) (changed *Post, reason string, err error)
	ExecuteCommand(ctx context.Context, command string, args []string, api API) (text string, ephemeral bool, err error)
	//reattach:panics
	OnDeactivate()
}

// Ledger runs the transactions of a chain.
type Ledger interface {
	Info(ctx context.Context) (height int64, hash [32]byte, err error)
	CheckTx(ctx context.Context, tx []byte, recheck bool) (code uint32, gas *big.Int, err error)
	FinalizeBlock(ctx context.Context, height int64, txs [][]byte, at time.Time, misbehaviour []Vote) (results []TxResult, updates map[string]int64, err error)
}

// Vote is one of a validator.
type Vote struct {
	Validator [20]byte
	Power     int64
	Signed    bool
}

// TxResult is what a transaction did.
type TxResult struct {
	Code   uint32
	Data   []byte
	Events []Event
}

// Event has attributes.
type Event struct {
	Type       string
	Attributes []Attribute
}

// Attribute is a pair.
type Attribute struct {
	Key, Value string
	Index      bool
}

// Contract is code on a chain; it reads and writes through its stub.
type Contract interface {
	Invoke(ctx context.Context, stub Stub, function string, args ...string) ([]byte, error)
}

// Stub is the state of a chain.
type Stub interface {
	GetState(key string) ([]byte, error)
	PutState(key string, value []byte) error
	History(ctx context.Context, key string) (iter.Seq2[[]byte, error], error)
}

// Table answers queries with rows.
type Table interface {
	Schema(ctx context.Context) (columns map[string]ColumnType, err error)
	Execute(ctx context.Context, columns []string, quals map[string][]Qual, limit *int64) (iter.Seq2[Row, error], error)
}

// ColumnType is a type of a column.
type ColumnType int16

// Qual is a condition.
type Qual struct {
	Operator string
	Value    Value
}

// Value is one of these.
type Value struct {
	Text  *string
	Int   *int64
	Float *float64
	When  *time.Time
	Bytes []byte
	List  []Value
}

// Row has a value for each column.
type Row map[string]*Value

// Metric measures whether a rollout goes well.
type Metric interface {
	Run(ctx context.Context, run string, args map[string]string) (phase string, measurements []float32, err error)
	Resume(ctx context.Context, err, request, answer, c, s string, plugin, contract int) (stream []bool, result Tuple, _ error)
}

// Tuple has one of each.
type Tuple struct {
	A int8
	B uint16
	C bool
	D float32
	E [3]int
	F *[]string `reattach:"-"`
	G struct4
	H [2][2]bool
	I map[bool]uint8
	J []time.Duration
	K []map[string]Code
	L map[int64][]*Post
	M []Mood
	N Mood
	O map[Mood]Mood
	P []byteish
}

type struct4 = Vote

// Mood is how one feels.
type Mood string

type byteish = uint8
