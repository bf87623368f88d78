namespace UPool.Sharing;

/// <summary>The keys of one read batch, and the answer or failure of each.</summary>
/// <param name="keys">The keys, each once.</param>
internal sealed class BatchAnswers<TKey, TAnswer>(List<TKey> keys)
    where TKey : notnull, IEquatable<TKey>
{
    private readonly Dictionary<TKey, TAnswer> _answers = new(keys.Count);
    private Dictionary<TKey, Exception>? _failures;

    public List<TKey> Keys => keys;

    public void Add(TKey key, TAnswer answer) => _answers[key] = answer;

    public void Fail(TKey key, Exception exception) => (_failures ??= [])[key] = exception;

    /// <summary>The answer to a key; false when there is none.</summary>
    public bool TryGet(TKey key, out TAnswer? answer) => _answers.TryGetValue(key, out answer);

    /// <summary>The failure of a key; null when it did not fail.</summary>
    public Exception? FailureOf(TKey key) => _failures?.GetValueOrDefault(key);
}
