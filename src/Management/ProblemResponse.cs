using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.WebUtilities;

namespace UPool.Management;

/// <summary>Errors as <c>application/problem+json</c> (RFC 9457), for clients that ask for it in
/// <c>Accept</c>.</summary>
internal static class ProblemResponse
{
    public const string MediaType = "application/problem+json";

    /// <summary>Whether the request names the media type; a range such as <c>*/*</c> does not.</summary>
    public static bool IsWanted(HttpRequest request)
    {
        // Most clients do not: parse nothing for them.
        bool isNamed = request.Headers.Accept.Any(static value =>
            value?.Contains(MediaType, StringComparison.OrdinalIgnoreCase) == true);
        return isNamed && request.GetTypedHeaders().Accept.Any(static type =>
            type.MediaType.Equals(MediaType, StringComparison.OrdinalIgnoreCase) && type.Quality is not 0);
    }

    /// <summary>Replies with an error.</summary>
    /// <param name="context">The request.</param>
    /// <param name="status">The status, which is also in the body.</param>
    /// <param name="message">The <c>msg</c> of the envelope, as <c>detail</c>. The header of a refusal's reason
    /// becomes <c>reason</c>, if it is set.</param>
    public static Task WriteAsync(HttpContext context, int status, string message)
    {
        var problem = new ProblemDetails
        {
            Status = status,
            Title = ReasonPhrases.GetReasonPhrase(status) is { Length: > 0 } phrase ? phrase : null,
            Detail = message,
        };
        if (context.Response.Headers.TryGetValue(EnvelopeResponse.ReasonHeader, out var reason))
            problem.Extensions["reason"] = reason.ToString();
        return EnvelopeResponse.WriteAsync(
            context, status, problem, ManagementJson.Default.ProblemDetails, $"{MediaType}; charset=utf-8");
    }
}
