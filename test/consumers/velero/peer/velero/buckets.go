// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// buckets is an object store in memory. Each host has a bucket of its own.
type buckets struct {
	mu      sync.Mutex
	objects map[string]map[string][]byte // by bucket and key
}

// initialize is a HandlerInitializer: all hosts get the same store.
func (b *buckets) initialize(logrus.FieldLogger) (any, error) { return b, nil }

// The methods of velero.ObjectStore follow.

func (b *buckets) Init(config map[string]string) error {
	bucket := config["bucket"]
	if bucket == "" {
		return fmt.Errorf("no bucket is configured")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[bucket] = make(map[string][]byte)
	return nil
}

func (b *buckets) PutObject(bucket, key string, body io.Reader) error {
	value, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	if key == "bad" {
		return fmt.Errorf("%s may not keep bad", bucket)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.objects[bucket] == nil {
		return fmt.Errorf("there is no bucket %s", bucket)
	}
	b.objects[bucket][key] = value
	return nil
}

func (b *buckets) ObjectExists(bucket, key string) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.objects[bucket][key]
	return ok, nil
}

func (b *buckets) GetObject(bucket, key string) (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	value, ok := b.objects[bucket][key]
	if !ok {
		return nil, fmt.Errorf("%s has no %s", bucket, key)
	}
	return io.NopCloser(bytes.NewReader(value)), nil
}

func (b *buckets) ListCommonPrefixes(bucket, prefix, delimiter string) ([]string, error) {
	keys, err := b.ListObjects(bucket, prefix)
	var all []string
	for _, key := range keys {
		if first, _, ok := strings.Cut(key[len(prefix):], delimiter); ok {
			all = append(all, prefix+first+delimiter)
		}
	}
	return slices.Compact(all), err
}

func (b *buckets) ListObjects(bucket, prefix string) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	keys := slices.Sorted(maps.Keys(b.objects[bucket]))
	return slices.DeleteFunc(keys, func(key string) bool { return !strings.HasPrefix(key, prefix) }), nil
}

func (b *buckets) DeleteObject(bucket, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects[bucket], key)
	return nil
}

func (b *buckets) CreateSignedURL(bucket, key string, ttl time.Duration) (string, error) {
	return fmt.Sprintf("https://store.example/%s/%s?within=%s", bucket, key, ttl), nil
}
