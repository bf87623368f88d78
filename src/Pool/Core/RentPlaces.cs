using System.Diagnostics;
using System.Text.RegularExpressions;

namespace UPool.Core;

/// <summary>
/// Names the code that opened a connection through ADO.NET, where the compiler cannot name it: from the stack, for the
/// report of a rent held too long.
/// </summary>
internal sealed partial class RentPlaces(TimeProvider clock)
{
    // A stack capture takes 10 to 30 µs and up to 20 kB. At most this often, it costs 0.3 % of one core and 2 MB a
    // second, however many connections are opened. At a lower rate of opens, each one is named.
    private static readonly TimeSpan MinInterval = TimeSpan.FromMilliseconds(10);

    // Enough to find the code that holds a rent without a captured stack; more would make the line unreadable.
    private const int MaxRecent = 8;

    private readonly long _minInterval = (long)(MinInterval.TotalSeconds * clock.TimestampFrequency);
    private readonly Lock _gate = new();

    // The newest last. Guarded by _gate.
    private readonly List<string> _recent = new(MaxRecent);

    // So that the first capture is due at once, whatever the clock's origin.
    private long _lookedAt = clock.GetTimestamp() - (long)clock.TimestampFrequency;

    /// <summary>The code that has called into the pool; null when the stack was not captured.</summary>
    public string? Find()
    {
        // Two threads may pass here together; that is one capture more.
        long now = clock.GetTimestamp();
        if (now - Volatile.Read(ref _lookedAt) < _minInterval) return null;

        Volatile.Write(ref _lookedAt, now);
        string? place = NameOf(new StackTrace(1, fNeedFileInfo: false));
        if (place is not null) Remember(place);
        return place;
    }

    /// <summary>For a rent without a captured stack: the recent other callers.</summary>
    public string Describe()
    {
        lock (_gate)
        {
            return _recent.Count == 0
                ? "an unknown caller (OpenAsync)"
                : $"an unknown caller (OpenAsync), perhaps one of {string.Join(", ", _recent)}";
        }
    }

    private static string? NameOf(StackTrace stack)
    {
        foreach (StackFrame frame in stack.GetFrames())
        {
            if (DiagnosticMethodInfo.Create(frame) is not { } method || IsBetween(method)) continue;

            // The compiler nests the code of an asynchronous method or a lambda in the type, and puts the name of the
            // method it was in between angle brackets.
            string type = method.DeclaringTypeName ?? "";
            int nested = type.IndexOf('+', StringComparison.Ordinal);
            string outer = nested < 0 ? type : type[..nested];
            Match written = Written().Match(nested < 0 ? method.Name : $"{type[nested..]}.{method.Name}");
            string name = written.Success ? written.Groups[1].Value : method.Name;
            return $"{outer[(outer.LastIndexOf('.') + 1)..]}.{name}";
        }

        return null;
    }

    /// <summary>Whether a method belongs to the pool, the runtime, or a mapper between them and the caller.</summary>
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
