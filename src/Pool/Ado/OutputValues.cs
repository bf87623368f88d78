using System.Data.Common;

namespace UPool;

/// <summary>
/// The parameters of an execution that runs on a copy of the caller's command. Values that the driver writes into the
/// copy are carried over only while the caller still waits; later ones are dropped.
/// </summary>
internal sealed class OutputValues
{
    private readonly List<Pair> _pairs = [];

    /// <summary>Adds the parameters of a command and of its copy, which has the same ones in the same order.</summary>
    public void Add(DbParameterCollection own, DbParameterCollection copied)
    {
        for (int i = 0; i < copied.Count; i++) _pairs.Add(new Pair(own[i], copied[i], copied[i].Value));
    }

    /// <summary>Copies to the caller's parameters the values that the driver has written since the last call.</summary>
    public void CarryOver()
    {
        for (int i = 0; i < _pairs.Count; i++)
        {
            (DbParameter own, DbParameter copy, object? seen) = _pairs[i];
            object? value = copy.Value;
            if (ReferenceEquals(value, seen)) continue;

            own.Value = value;
            _pairs[i] = new Pair(own, copy, value);
        }
    }

    private readonly record struct Pair(DbParameter Own, DbParameter Copy, object? Seen);
}
