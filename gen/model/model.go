// SPDX-License-Identifier: MPL-2.0

// Package model is what the readers find in a contract and the writers write: its
// interfaces, their methods, and how each value travels. It has no behaviour.
package model

import (
	"go/token"
	"go/types"
	"time"
)

// Contract is the interfaces of one Go package that plugins serve and hosts call.
type Contract struct {
	// Name and Path are the package's name and import path; Dir is where its files are.
	Name, Path, Dir string
	// Wire is its name on the wire, without the version: Name, unless a comment says otherwise.
	Wire string
	// Doc is the first sentence of the package's comment.
	Doc string
	// Licence is what the source says behind SPDX-License-Identifier, if it does.
	Licence string
	// Version counts up when a change breaks peers.
	Version int
	// CookieKey and CookieValue are the handshake's.
	CookieKey, CookieValue string
	// Services are its interfaces, in the order of the source. A contract has at least one
	// that has a Kind.
	Services []*Service
	// Messages are the types that need a message of their own, in the order in which they
	// were met.
	Messages []*Message
	// Errors are the sentinels and error types of the package.
	Errors []*Error
	// Proto is the .proto file that the contract was read from, relative to Dir; empty if it
	// was read from Go, and the file is to be written. ProtoSource is what it says, and
	// ProtoPackage its package.
	Proto, ProtoSource, ProtoPackage string
}

// Service is one interface.
type Service struct {
	// Name is the interface's name in Go.
	Name, Doc string
	// Kind is the name that it is dispensed by. It is empty for an interface that is the
	// parameter of a method: the plugin calls it back.
	Kind    string
	Methods []*Method
	Pos     token.Position
}

// Method is one method of an interface.
type Method struct {
	Name, Doc string
	Pos       token.Position
	// Context says that the first parameter is a context, Err that the last result is an
	// error. Panics says that a method without one panics when its call fails.
	Context, Err, Panics bool
	// Variadic says that the last parameter is written with dots.
	Variadic bool
	// Params and Results are in order, without the context and the error. A stream is among
	// them.
	Params, Results []*Field
	// Idempotent, Timeout and Repeats are what the comments declare. Repeats is nil if they
	// do not.
	Idempotent bool
	Timeout    time.Duration
	Repeats    *int
	// Request and Answer are its messages, if the contract was read from a .proto file.
	Request, Answer *Message
}

// Field is a parameter, a result, or a field of a struct.
type Field struct {
	// Name is as Go spells it, Wire as the message does.
	Name, Wire string
	Number     int
	// Optional says that a peer may leave a parameter or a result out, and ignore it.
	Optional bool
	Type     *Type
	Doc      string
}

// Shape is a way in which a value travels.
type Shape uint8

// The shapes. Scalars are those before Time.
const (
	Bool     Shape = iota
	Int            // any integer, as Type.Scalar
	Float          // as Type.Scalar
	Text           // a string
	Bytes          // a slice of bytes
	AsText         // a type that has MarshalText: a string
	AsBinary       // a type that has MarshalBinary: bytes
	Time           // time.Time
	Duration       // time.Duration
	Struct         // a message: Type.Message
	List           // repeated Type.Elem
	Array          // as List, of Type.Len elements
	Map            // from Type.Key to Type.Elem
	Pointer        // to Type.Elem, and may be nil
	Seq            // iter.Seq2[Type.Elem, error]
	Chan           // <-chan Type.Elem
	Callback       // Type.Service, by the broker
)

// Type is how a type of Go travels.
type Type struct {
	Shape Shape
	// Go is the type itself.
	Go types.Type
	// Scalar is the word of protocol buffers for a scalar.
	Scalar string
	Key    *Type
	Elem   *Type
	Len    int64
	// Message is set for Struct, and for a List or Map that is itself an element.
	Message *Message
	Service *Service
	// Text is what Wire says of a field of a message that is there already.
	Text string
}

// Message is a type that travels as a message of its own.
type Message struct {
	// Name is unique in the contract.
	Name, Doc string
	Go        types.Type
	Fields    []*Field
	// Items says that it stands for a list or a map, which is its only field.
	Items bool
	// Recursive says that its values may contain values of its own type.
	Recursive bool
	// Foreign is the full name of a message that is there already: a type that protoc-gen-go
	// has made.
	Foreign string
}

// Error is an error that survives the wire.
type Error struct {
	// Name is that of the variable or the type.
	Name string
	Doc  string
	// Type is set for an error type; Pointer says that it is *Name that is an error.
	Type    *Type
	Pointer bool
	Pos     token.Position
}

// StreamNumber is the number of the field of a request that says, over net/rpc, where its
// stream is. Parameters have those before it, and from 1001 on.
const StreamNumber = 999

// Suffix is how the files end that are written beside a contract's source.
const Suffix = ".reattach.go"
