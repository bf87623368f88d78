namespace UPool.Core;

/// <summary>Why a connection was closed; the values of the metric's attribute.</summary>
internal enum CloseReason
{
    /// <summary>Idle too long.</summary>
    Pruned,

    /// <summary>Too old.</summary>
    Retired,

    /// <summary>Broken, or not known to be as new.</summary>
    Discarded,

    /// <summary>Of a generation that was cleared.</summary>
    Cleared,

    /// <summary>More than the permits.</summary>
    Surplus,

    /// <summary>The pool drains.</summary>
    Drained,

    /// <summary>Opened under a lease that has ended.</summary>
    Expired,
}
