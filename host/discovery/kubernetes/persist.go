// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// between gives the pauses between attempts to reach an API server that is away:
// 200 ms first, and soon 4 to 5 s.
func between() wait.Backoff {
	return wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.25, Steps: 10, Cap: 4 * time.Second}
}

// persist repeats a request while the API server is away, until ctx ends, and notes how
// each ended. An informer that were told of each failure would pause for up to a minute
// after a few of them, and for that long not see what changed once the server is back. It
// is told of what the server itself refuses, which does not mend that soon.
func persist[T any](ctx context.Context, i *informer, verb string, opts metav1.ListOptions, request func(context.Context, metav1.ListOptions) (T, error)) (answer T, err error) {
	// The error is that of the last request, also when ctx has ended.
	_ = between().DelayFunc().Until(ctx, true, true, func(ctx context.Context) (done bool, _ error) {
		answer, err = request(ctx, opts)
		i.note(ctx, verb, err)
		return !away(err), nil
	})
	return answer, err
}

// away reports whether err says that nobody answered, or somebody on behalf of a
// server that cannot.
func away(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var status apierrors.APIStatus
	return !errors.As(err, &status) || status.Status().Code >= http.StatusInternalServerError
}
