package intent

import "testing"

func TestStemsAreFound(t *testing.T) {
	t.Parallel()
	m, err := newMeanings()
	if err != nil {
		t.Fatal(err)
	}
	row := func(w string) int32 { return m.words.id(wordHash(w)) }
	for word, stem := range map[string]string{
		"rescheduling": "reschedule", "planned": "plan", "carries": "carry", "using": "use", "parcels": "parcel",
	} {
		if row(stem) < 0 {
			t.Fatalf("%s is not in the lexicon", stem)
		}
		if got := m.latin([]byte(word)); got != row(stem) && got != row(word) {
			t.Errorf("%s is found in row %d, %s is %d", word, got, stem, row(stem))
		}
	}
	if got := m.latin([]byte("zqing")); got >= 0 {
		t.Errorf("zqing is found in row %d", got)
	}
}
