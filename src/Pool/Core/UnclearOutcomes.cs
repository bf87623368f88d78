using System.Runtime.CompilerServices;

namespace UPool.Core;

/// <summary>
/// Exceptions of the driver that say less than they seem to: a statement of a script failed, those before it had taken
/// effect (INV-9). Beside the exceptions rather than around them: callers look for the driver's own type and number.
/// </summary>
internal static class UnclearOutcomes
{
    private static readonly ConditionalWeakTable<Exception, object> Noted = [];

    public static void Note(Exception exception) => Noted.AddOrUpdate(exception, exception);

    public static bool IsNoted(Exception exception)
    {
        for (Exception? one = exception; one is not null; one = one.InnerException)
        {
            if (Noted.TryGetValue(one, out _)) return true;
        }

        return false;
    }
}
