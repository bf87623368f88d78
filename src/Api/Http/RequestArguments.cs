using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.Extensions.Primitives;

namespace UPool.Api.Http;

/// <summary>
/// Reads the path and the query. Unknown query keys are ignored, because proxies and caches add some. Messages never
/// repeat a value (INV-8).
/// </summary>
internal static class RequestArguments
{
    public static bool TryReadId(HttpContext context, out long id, [NotNullWhen(false)] out string? wrong)
    {
        if (!TryParse(context.Request.RouteValues["id"] as string, 1, long.MaxValue, out id))
        {
            wrong = $"id must be a whole number from 1 to {long.MaxValue}";
            return false;
        }

        wrong = null;
        return true;
    }

    public static bool TryReadPage(
        IQueryCollection query, int maxRows, out int limit, out long after, [NotNullWhen(false)] out string? wrong)
    {
        after = 0;
        wrong = null;
        bool isRead = TryRead(query, "limit", 1, maxRows, absent: maxRows, out long longLimit, ref wrong)
            && TryRead(query, "after", 0, long.MaxValue, absent: 0, out after, ref wrong);
        limit = (int)longLimit;
        return isRead;
    }

    private static bool TryRead(
        IQueryCollection query, string key, long min, long max, long absent, out long value, ref string? wrong)
    {
        value = absent;
        if (!query.TryGetValue(key, out StringValues given)) return true;

        if (given.Count != 1)
            wrong = $"{key} is given more than once";
        else if (!TryParse(given[0], min, max, out value))
            wrong = $"{key} must be a whole number from {min} to {max}";
        return wrong is null;
    }

    // Digits only: no sign, no spaces, no separators.
    private static bool TryParse(string? text, long min, long max, out long value) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value >= min && value <= max

        // long.TryParse ignores trailing NULs.
        && !text.Contains('\0', StringComparison.Ordinal);
}
