// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"
)

// Request is what a request says beside its arguments.
type Request struct {
	Method string
	// Number is the caller's choice. It is used once on a channel.
	Number uint64
	// Timeout is how long the caller still waits. Zero says nothing of it.
	Timeout time.Duration
	// Metadata may be nil. Keys and values are as gRPC wants them.
	Metadata metadata.MD
}

// Carry takes over what a context says for the callee: the time that is left until its
// deadline, and the outgoing metadata of gRPC.
func (r *Request) Carry(ctx context.Context) {
	if deadline, ok := ctx.Deadline(); ok {
		r.Timeout = max(time.Until(deadline), time.Microsecond)
	}
	r.Metadata, _ = metadata.FromOutgoingContext(ctx)
}

// check says what the request cannot be sent with, and gives the metadata as keys and
// values in turn, ordered by key.
func (r *Request) check() (pairs []string, err error) {
	if len(r.Method) > maxMethod {
		return nil, fmt.Errorf("the method's name has %d bytes, at most %d are possible", len(r.Method), maxMethod)
	}
	if len(r.Metadata) == 0 {
		return nil, nil
	}
	size := 0
	for _, key := range slices.Sorted(maps.Keys(r.Metadata)) {
		for _, value := range r.Metadata[key] {
			if err := checkPair(key, value); err != nil {
				return nil, err
			}
			pairs = append(pairs, key, value)
			size += textSize(key) + textSize(value)
		}
	}
	if size > maxMetadata || len(pairs) > 2*maxPairs {
		return nil, fmt.Errorf("the metadata are %d pairs of %d bytes, at most %d of %d are possible", len(pairs)/2, size, maxPairs, maxMetadata)
	}
	return pairs, nil
}

// textSize is how many bytes a text and its length take.
func textSize(s string) int { return len(binary.AppendUvarint(nil, uint64(len(s)))) + len(s) }

// checkPair holds that a pair is one that gRPC could carry as well.
func checkPair(key, value string) error {
	if key == "" || strings.ContainsFunc(key, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
	}) {
		return fmt.Errorf("the metadata have the key %q: a key is of a-z, 0-9, '-', '_' and '.'", key)
	}
	if !strings.HasSuffix(key, "-bin") && strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("the metadata's %s has a value that is no printable ASCII: a key for others ends in -bin", key)
	}
	return nil
}

// incoming gives a context with the metadata of a request, as keys and values in turn,
// each behind its length. The reader has checked the lengths.
func incoming(ctx context.Context, data []byte) context.Context {
	if len(data) == 0 {
		return ctx
	}
	md := make(metadata.MD)
	for len(data) > 0 {
		var key, value string
		key, data = cutText(data)
		value, data = cutText(data)
		md.Append(key, value)
	}
	return metadata.NewIncomingContext(ctx, md)
}
