package channels

import "sync"

// maxProgress bounds how many half-sent messages are remembered.
const maxProgress = 1024

// sent is how far a message of several parts has come.
type sent struct {
	parts int
	id    string // the provider's name for the first part
}

// progress remembers half-sent messages between attempts, so that a retry does
// not repeat the parts that arrived.
type progress struct {
	mu struct {
		sync.Mutex

		parts map[string]sent
	}
}

// take gives what is known about a message and forgets it.
func (p *progress) take(key string) sent {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.mu.parts[key]
	delete(p.mu.parts, key)
	return s
}

// keep remembers a message of which at least one part arrived.
func (p *progress) keep(key string, s sent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.parts == 0 {
		return
	}
	if len(p.mu.parts) >= maxProgress {
		for other := range p.mu.parts {
			delete(p.mu.parts, other)
			break
		}
	}
	p.mu.parts[key] = s
}
