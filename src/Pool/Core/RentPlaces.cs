using System.Diagnostics;
using System.Text.RegularExpressions;

namespace UPool.Core;

/// <summary>
/// Names the code that opened a connection by ADO.NET's door, where the compiler cannot name it: by its stack, for the
/// report of a rent held too long.
/// </summary>
internal sealed partial class RentPlaces(TimeProvider clock)
{
    // A look at the stack takes 10 to 30 µs and up to 20 kB: at most this often, that is 0.3 % of one core and 2 MB a
    // second however many connections are opened. Whoever opens fewer is named every time.
    private static readonly TimeSpan MinInterval = TimeSpan.FromMilliseconds(10);

    // Enough to find the code that holds a rent which was not looked at; more would make the line unreadable.
    private const int MaxRecent = 8;

    private readonly long _minInterval = (long)(MinInterval.TotalSeconds * clock.TimestampFrequency);
    private readonly Lock _gate = new();

    // The newest last. Guarded by _gate.
    private readonly List<string> _recent = new(MaxRecent);

    // So that the first look is due at once, whatever the clock's origin.
    private long _lookedAt = clock.GetTimestamp() - (long)clock.TimestampFrequency;

    /// <summary>The code that has called into the pool; null when it was not looked at.</summary>
    public string? Find()
    {
        // Two threads may pass here together; that is one look more.
        long now = clock.GetTimestamp();
        if (now - Volatile.Read(ref _lookedAt) < _minInterval) return null;

        Volatile.Write(ref _lookedAt, now);
        string? place = NameOf(new StackTrace(1, fNeedFileInfo: false));
        if (place is not null) Remember(place);
        return place;
    }

    /// <summary>For a rent that was not looked at: where others came from.</summary>
    public string Describe()
    {
        lock (_gate)
        {
            return _recent.Count == 0
                ? "an unnamed place (OpenAsync)"
                : $"an unnamed place (OpenAsync), perhaps one of {string.Join(", ", _recent)}";
        }
    }

    private static string? NameOf(StackTrace stack)
    {
        foreach (StackFrame frame in stack.GetFrames())
        {
            if (DiagnosticMethodInfo.Create(frame) is not { } method || IsBetween(method)) continue;

            // What the compiler makes of an asynchronous method or a lambda is nested in the type, and has the name of
            // the method it was in angle brackets.
            string type = method.DeclaringTypeName ?? "";
            int nested = type.IndexOf('+', StringComparison.Ordinal);
            string outer = nested < 0 ? type : type[..nested];
            Match written = Written().Match(nested < 0 ? method.Name : $"{type[nested..]}.{method.Name}");
            string name = written.Success ? written.Groups[1].Value : method.Name;
            return $"{outer[(outer.LastIndexOf('.') + 1)..]}.{name}";
        }

        return null;
    }

    /// <summary>Whether it is the pool's own, the runtime's, or a mapper's between the two and the caller.</summary>
    private static bool IsBetween(DiagnosticMethodInfo method)
    {
        string assembly = method.DeclaringAssemblyName ?? "";
        return assembly.StartsWith("UPool,", StringComparison.Ordinal)
            || assembly.StartsWith("System.", StringComparison.Ordinal)
            || assembly.StartsWith("Dapper", StringComparison.Ordinal);
    }

    private void Remember(string place)
    {
        lock (_gate)
        {
            _recent.Remove(place);
            if (_recent.Count == MaxRecent) _recent.RemoveAt(0);
            _recent.Add(place);
        }
    }

    [GeneratedRegex(@"<(\w+)>")]
    private static partial Regex Written();
}
