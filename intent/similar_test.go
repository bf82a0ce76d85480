package intent

import "testing"

func TestLike(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	like := func(a, b string) float32 {
		x, y := l.Signature(a), l.Signature(b)
		if x.Like(&y) != y.Like(&x) {
			t.Errorf("%q and %q are not as like as %q and %q", a, b, b, a)
		}
		return x.Like(&y)
	}
	for _, pair := range [][2]string{
		{"可以开增值税发票吗", "能不能开增值税专用发票"},
		{"你们周末上班吗", "周末有人上班么"},
		{"do you sell gift cards", "can i buy a gift card"},
		{"鞋子有没有42码", "這雙鞋還有 42 碼嗎"},
		{"is there a student discount", "student discounts?"},
	} {
		if got := like(pair[0], pair[1]); got < 0.6 {
			t.Errorf("%q and %q are alike by %.2f", pair[0], pair[1], got)
		}
	}
	for _, pair := range [][2]string{
		{"可以开增值税发票吗", "鞋子有没有42码"},
		{"你们周末上班吗", "可以开发票吗"},
		{"is there a student discount", "where is the nearest store"},
		{"", "where is the nearest store"},
		{"？？？", "where is the nearest store"},
	} {
		if got := like(pair[0], pair[1]); got > 0.4 {
			t.Errorf("%q and %q are alike by %.2f", pair[0], pair[1], got)
		}
	}
}
