import type { Lang } from "../ui/lang.ts";

const zh = {
  packs: "知识包", newPack: "新建知识包", packName: "名称（小写字母、数字、_ - .）", create: "创建", choose: "选择一个知识包", chooseMore: "在这里查看和修改机器人知道的内容；保存后立即在所有节点生效。",
  builtin: "内置", file: "文件", saved: "已保存",
  live: "已生效", training: "训练中…", calibrating: "校准中…", idle: "未被收件箱使用", hidden: "被同名文件取代", failed: "未生效",
  counts: "{i} 个意图 · {q} 个问题", version: "版本 {n} · {t} · {who}", hash: "指纹 {h}",
  read: "问答", text: "文本", versions: "历史版本",
  searchIntents: "搜索意图、问题、答案", found: "共 {n} 个意图", noIntents: "没有匹配的意图", more: "加载更多",
  ask: "问题", not: "相似但不是", test: "测试问题", answer: "答案", noAnswer: "没有固定答案", handover: "转人工", flow: "查询：{f}", background: "闲聊（不回答）", fromBelow: "来自下层知识包", openAt: "在文本中打开",
  readOnlyBuiltin: "内置知识包不能直接修改。可以在其上新建一层，只写不同之处。", buildOn: "在其上修改", readOnlyFile: "此知识包来自节点上的文件 {f}，请在文件中修改。",
  unsaved: "未保存", comment: "修改说明（可选）", check: "检查", save: "保存并生效", revert: "放弃修改", checking: "检查中…", saving: "保存中…", line: "第 {n} 行",
  savedToast: "已保存为版本 {n}，正在生效", unchanged: "内容没有变化", okCheck: "没有发现错误", problems: "发现 {n} 个问题，未保存",
  report: "意图 {ib} → {ia}，问题 {qb} → {qa}", tests: "测试问题 {n} 个：答对 {b} → {a}", testsNew: "测试问题 {n} 个：答对 {a}", better: "变好", worse: "变差", nothing: "（不回答）", wanted: "应为 {w}",
  repeated: "“{t}”（第 {n} 行，{i}）在 {o} 中也有", taken: "“{t}”（第 {n} 行，{i}）会从下层的 {o} 中移走",
  conflict: "其他人已保存了新版本。您的修改仍在编辑框中；请先查看最新版本，再次保存将覆盖它。", loadNewest: "查看历史版本",
  tryIt: "试一试", tryPlaceholder: "访客可能会怎么问？", tryDo: "提问", now: "现在", after: "修改后", nearest: "最接近的问题：{q}", answerIt: "直接回答", suggestIt: "给出选项", abstainIt: "不回答", nothingRead: "没有识别出意图", noModel: "尚无模型",
  inForce: "当前", compare: "与当前比较", rollback: "恢复此版本", rollbackSure: "用版本 {n} 的内容替换当前版本？当前版本会保留在历史中。", rolledBack: "已恢复版本 {n} 的内容", restores: "恢复自版本 {n}", same: "与当前版本相同", diffTitle: "版本 {n} → 当前", noVersions: "尚未保存过。", size: "{n} KB",
  remove: "删除", removeSure: "删除知识包“{p}”及其全部历史版本？此操作不能撤销。", removed: "已删除", yes: "确定",
  leaveSure: "有未保存的修改", editor: "知识包文本", back: "返回列表",
};

export type PackWords = typeof zh;

const en: PackWords = {
  packs: "Packs", newPack: "New pack", packName: "Name (lower-case letters, digits, _ - .)", create: "Create", choose: "Choose a pack", chooseMore: "Read and change what the bot knows; what is saved is live on all nodes at once.",
  builtin: "built-in", file: "file", saved: "saved",
  live: "Live", training: "Training…", calibrating: "Calibrating…", idle: "No inbox uses it", hidden: "A file of this name stands", failed: "Not in use",
  counts: "{i} intents · {q} questions", version: "Version {n} · {t} · {who}", hash: "hash {h}",
  read: "Questions and answers", text: "Text", versions: "Versions",
  searchIntents: "Search intents, questions, answers", found: "{n} intents", noIntents: "No intent matches", more: "Load more",
  ask: "Questions", not: "Looks like it and is not", test: "Test questions", answer: "Answer", noAnswer: "No fixed answer", handover: "Handover", flow: "Look-up: {f}", background: "Small talk (not answered)", fromBelow: "from a pack below", openAt: "Open in the text",
  readOnlyBuiltin: "A built-in pack cannot be changed itself. Lay a pack on top that says only what is different.", buildOn: "Change it in a layer", readOnlyFile: "This pack comes from the file {f} on the node; change it there.",
  unsaved: "unsaved", comment: "What has changed (optional)", check: "Check", save: "Save and go live", revert: "Discard changes", checking: "Checking…", saving: "Saving…", line: "Line {n}",
  savedToast: "Saved as version {n}, going live", unchanged: "Nothing has changed", okCheck: "Nothing is wrong", problems: "{n} problems; not saved",
  report: "Intents {ib} → {ia}, questions {qb} → {qa}", tests: "{n} test questions: right {b} → {a}", testsNew: "{n} test questions: right {a}", better: "better", worse: "worse", nothing: "(no answer)", wanted: "should be {w}",
  repeated: "“{t}” (line {n}, {i}) stands under {o} too", taken: "“{t}” (line {n}, {i}) is taken from {o} of a pack below",
  conflict: "Somebody else has saved a newer version. Your changes are still in the box; look at the newest version first, saving again replaces it.", loadNewest: "Show versions",
  tryIt: "Try it", tryPlaceholder: "What might a visitor write?", tryDo: "Ask", now: "Now", after: "With your changes", nearest: "Nearest question: {q}", answerIt: "answers", suggestIt: "offers choices", abstainIt: "does not answer", nothingRead: "No intent found", noModel: "no model yet",
  inForce: "in force", compare: "Compare", rollback: "Roll back to it", rollbackSure: "Put the text of version {n} in place of the present one? The present one stays among the versions.", rolledBack: "Rolled back to version {n}", restores: "version {n} again", same: "The same as the version in force", diffTitle: "Version {n} → in force", noVersions: "Not saved yet.", size: "{n} KB",
  remove: "Delete", removeSure: "Delete the pack “{p}” with all its versions? This cannot be undone.", removed: "Deleted", yes: "Yes",
  leaveSure: "There are unsaved changes", editor: "Text of the pack", back: "Back to the list",
};

/** packWords gives the texts of the knowledge page in a language. */
export function packWords(lang: Lang): PackWords {
  return lang === "zh" ? zh : en;
}
