package intent

// detect gives the language of an utterance by its script; hint decides where
// there are no letters at all. A Han character counts as much as four Latin
// letters, because that is about what it says.
func (t *tokens) detect(hint string) string {
	switch {
	case t.han == 0 && t.latin == 0:
		return hint
	case t.han*4 >= t.latin:
		return "zh"
	}
	return "en"
}
