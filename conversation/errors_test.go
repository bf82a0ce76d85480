package conversation

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestErrorIsItsClassAndItsCause(t *testing.T) {
	t.Parallel()
	classes := []error{
		ErrInvalid, ErrUnauthenticated, ErrForbidden, ErrNotFound, ErrConflict, ErrTooLarge, ErrOverloaded, ErrUnavailable, ErrUnknown,
		ErrInternal,
	}
	for _, r := range Codes() {
		plain := fmt.Errorf("append: %w", Refuse(r.Code, "because"))
		caused := fmt.Errorf("append: %w", &Error{Code: r.Code, Err: context.DeadlineExceeded})
		for _, class := range classes {
			want := errors.Is(r.Class, class)
			if errors.Is(plain, class) != want || errors.Is(caused, class) != want {
				t.Errorf("%s is %v: want %t", r.Code, class, want)
			}
		}
		if errors.Is(plain, context.DeadlineExceeded) || !errors.Is(caused, context.DeadlineExceeded) {
			t.Errorf("%s loses its cause or has another's", r.Code)
		}
		var e *Error
		if !errors.As(plain, &e) || e.Code != r.Code || e.Detail != "because" {
			t.Errorf("As(%v) = %+v", plain, e)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]*Error{
		"conflict":                     {Code: CodeConflict},
		"conflict: 2 of 3":             Refusef(CodeConflict, "%d of %d", 2, 3),
		"unavailable: disk: late":      {Code: CodeUnavailable, Detail: "disk", Err: errors.New("late")},
		"rate_limited":                 {Code: CodeRateLimited, After: time.Second, Hint: "slow down"},
		"invalid_transition: not here": {Code: CodeInvalidTransition, Detail: "not here", Allowed: []string{"a → b"}},
	} {
		if got := err.Error(); got != want {
			t.Errorf("Error() = %q, want %q", got, want)
		}
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want Code
	}{
		"refusal":              {Refuse(CodeStaleTurn, ""), CodeStaleTurn},
		"wrapped":              {fmt.Errorf("a: %w", fmt.Errorf("b: %w", Refuse(CodeFenced, ""))), CodeFenced},
		"the outer one":        {&Error{Code: CodeUnavailable, Err: Refuse(CodeStaleTurn, "")}, CodeUnavailable},
		"joined":               {errors.Join(errors.New("x"), Refuse(CodeBadTag, "")), CodeBadTag},
		"class invalid":        {ErrInvalid, CodeInvalid},
		"class unauth.":        {ErrUnauthenticated, CodeUnauthenticated},
		"class forbidden":      {ErrForbidden, CodeForbidden},
		"class not found":      {fmt.Errorf("x: %w", ErrNotFound), CodeNotFound},
		"class conflict":       {ErrConflict, CodeConflict},
		"class too large":      {ErrTooLarge, CodeTooLarge},
		"class overloaded":     {ErrOverloaded, CodeOverloaded},
		"class unavailable":    {ErrUnavailable, CodeUnavailable},
		"class unknown":        {ErrUnknown, CodeUnknownOutcome},
		"class internal":       {ErrInternal, CodeInternal},
		"nobody's":             {errors.New("x"), CodeInternal},
		"a context's":          {context.Canceled, CodeInternal},
		"an unknown code even": {&Error{Code: "from_a_newer_version"}, "from_a_newer_version"},
	} {
		if got := CodeOf(tc.err); got != tc.want {
			t.Errorf("%s: CodeOf(%v) = %s, want %s", name, tc.err, got, tc.want)
		}
	}
}
