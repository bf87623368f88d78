using System.Collections.Concurrent;

namespace UPool.Sharing;

/// <summary>A line for each question that somebody waits for. What bounds the callers under way bounds these.</summary>
internal sealed class AskingLines<TKey, TAnswer>(IAsked<TKey, TAnswer> asked)
    where TKey : notnull, IEquatable<TKey>
{
    private readonly ConcurrentDictionary<TKey, AskingLine<TKey, TAnswer>> _lines = new();

    /// <summary>How many questions somebody waits for.</summary>
    public int Count => _lines.Count;

    /// <summary>Joins the line of a question.</summary>
    public ValueTask<TAnswer> JoinAsync(TKey key, Deadline deadline, CancellationToken token)
    {
        while (true)
        {
            AskingLine<TKey, TAnswer> line = _lines.GetOrAdd(
                key,
                static (key, lines) => new AskingLine<TKey, TAnswer>(
                    lines.Asked, line => lines._lines.TryRemove(KeyValuePair.Create(key, line))),
                this);

            if (line.TryJoin(key, deadline, token, out ValueTask<TAnswer> answer)) return answer;

            // Its last caller has just been answered: it is being taken down, and not waited for here.
            _lines.TryRemove(KeyValuePair.Create(key, line));
        }
    }

    private IAsked<TKey, TAnswer> Asked => asked;
}
