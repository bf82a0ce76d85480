package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/colloquyhq/colloquy/gateway"
)

const (
	statusTime = 5 * time.Second
	restTime   = 30 * time.Second // for the nodes to come to rest
	quietFor   = 2 * time.Second  // nothing may change for so long
)

// operator asks a member as an admin would.
func (f *fleet) operator(ctx context.Context, m *member, method, path string, body any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+m.at.client+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+f.keys.Agents[0].Token)
	res, err := f.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: status %d: %s", method, path, res.StatusCode, bytes.TrimSpace(answer))
	}
	return answer, err
}

// status asks the first member that answers how the cluster is, and gives the
// member that leads; nil when nobody does, or nobody knows.
func (f *fleet) status(ctx context.Context) (*gateway.ClusterStatus, *member, error) {
	var errs []error
	for _, m := range f.all() {
		s, err := f.statusAt(ctx, m)
		if err == nil {
			return s, f.leaderOf(s), nil
		}
		errs = append(errs, err)
	}
	return nil, nil, errors.Join(errs...)
}

// statusAt asks a member how the cluster is.
func (f *fleet) statusAt(ctx context.Context, m *member) (*gateway.ClusterStatus, error) {
	raw, err := f.operator(ctx, m, http.MethodGet, "/v1/cluster", nil)
	s := new(gateway.ClusterStatus)
	if err == nil {
		err = json.Unmarshal(raw, s)
	}
	return s, err
}

// version asks a member which one it runs.
func (f *fleet) version(ctx context.Context, m *member) (string, error) {
	s, err := f.statusAt(ctx, m)
	if err != nil {
		return "", fmt.Errorf("ask node %d for its version: %w", m.number, err)
	}
	for i := range s.Nodes {
		if s.Nodes[i].Node == s.Self {
			return s.Nodes[i].Version, nil
		}
	}
	return "", fmt.Errorf("node %d does not say its version", m.number)
}

func (f *fleet) leaderOf(s *gateway.ClusterStatus) *member {
	for _, n := range s.Nodes {
		if m := f.memberAt(n.Address); n.Leader && m != nil {
			return m
		}
	}
	return nil
}

// memberAt finds a member by the address that it tells others.
func (f *fleet) memberAt(address string) *member {
	for _, m := range f.all() {
		if m.at.client == address {
			return m
		}
	}
	return nil
}

// leader gives the member that leads the journal; nil when that is not known.
func (f *fleet) leader(ctx context.Context) *member {
	if f.options.Nodes < 2 {
		return f.all()[0]
	}
	_, m, err := f.status(ctx)
	if err != nil {
		return nil
	}
	return m
}

// rest waits until all nodes have applied the same and nothing is written any
// more. It reports false when they do not come to rest.
func (f *fleet) rest(ctx context.Context) bool {
	if f.options.Nodes < 2 {
		return true
	}
	deadline := time.Now().Add(idleTime + restTime)
	var since time.Time
	var before uint64
	for time.Now().Before(deadline) && ctx.Err() == nil {
		index, level := f.level(ctx)
		if !level || index != before || since.IsZero() {
			since, before = time.Now(), index
		}
		if level && time.Since(since) >= idleTime+quietFor {
			return true
		}
		pause(ctx, idleLook)
	}
	return false
}

// level gives the place in the journal where all nodes are; false when they are
// at different ones, or busy.
func (f *fleet) level(ctx context.Context) (uint64, bool) {
	s, _, err := f.status(ctx)
	if err != nil || len(s.Nodes) == 0 {
		return 0, false
	}
	index := s.Nodes[0].AppliedIndex
	for _, n := range s.Nodes {
		if n.State != gateway.NodeAbsent && n.AppliedIndex != index {
			return 0, false
		}
	}
	return index, true
}
